//! Finds httpd and APR, generates the bindings, compiles the shim, and says which package is missing when it cannot.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

fn main() {
    println!("cargo::rerun-if-changed=include");
    println!("cargo::rerun-if-changed=apache/shim.c");
    println!("cargo::rerun-if-env-changed=APXS");
    println!("cargo::rerun-if-env-changed=APR_CONFIG");

    let include = include_directories();
    generate_bindings(&include);
    compile_shim(&include);

    // httpd loads, unloads and reloads a module at start and at each restart. Rust's thread-local destructors and
    // OpenSSL's callbacks would then point into unmapped code, so the library stays mapped.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,relro,-z,now,-z,noexecstack");
}

/// Where the headers of httpd, APR, APR-util and OpenSSL are.
fn include_directories() -> Vec<PathBuf> {
    let apxs = tool("APXS", ["apxs", "apxs2"], "apache2-dev");
    let httpd = PathBuf::from(output(&apxs, &["-q", "INCLUDEDIR"], "apache2-dev"));
    require(&httpd.join("httpd.h"), "apache2-dev");
    require(&httpd.join("mod_ssl_openssl.h"), "apache2-ssl-dev");

    let apr_config = tool("APR_CONFIG", ["apr-config", "apr-1-config"], "libapr1-dev");
    let apr = PathBuf::from(output(&apr_config, &["--includedir"], "libapr1-dev"));
    require(&apr.join("apr.h"), "libapr1-dev");
    require(&apr.join("apr_optional_hooks.h"), "libaprutil1-dev");
    vec![httpd, apr, PathBuf::from("include")]
}

fn generate_bindings(include: &[PathBuf]) {
    let bindings = bindgen::Builder::default()
        .header("include/httpd.h")
        .clang_args(include.iter().map(|directory| format!("-I{}", directory.display())))
        .clang_args(["-D_GNU_SOURCE", "-DLINUX"])
        .allowlist_function("ap_(add_(in|out)put_filter(_handle)?|register_(in|out)put_filter|remove_(in|out)put_filter)")
        .allowlist_function("ap_(get|pass)_brigade")
        .allowlist_function("apr_brigade_(write|flatten|length|cleanup)")
        .allowlist_function("ap_(lookup_provider|mutex_register|global_mutex_create|auth_type|auth_name|check_cmd_context|getword_conf|runtime_dir_relative|server_root_relative|state_query|mpm_query)")
        .allowlist_function("apr_(global_mutex_(lock|unlock|child_init|lockfile)|time_now)|clock_gettime")
        .allowlist_function("ap_hook_(pre_config|check_config|post_config|pre_mpm|child_init|check_authn|auth_checker|check_authz|get_auth_checker|log_transaction|process_connection|post_read_request|header_parser|check_access|fixups|insert_filter|insert_error_filter)")
        .allowlist_function("ap_(register_auth_provider|find_linked_module|get_(module|core)_config|set_module_config|get_(request|conn|server)_module_loglevel)")
        .allowlist_function("apr_(palloc|pool_userdata_[gs]et|pool_cleanup_register|pool_pre_cleanup_register|pool_cleanup_null|pstrmemdup|table_(addn|get|setn|unset))")
        .allowlist_function("(ap_retained_data_(create|get)|apr_shm_(create|baseaddr_get)|ap_rwrite)")
        .allowlist_function("tb_.*")
        .allowlist_type("(request_rec|conn_rec|server_rec|module|ap_LINK_auth_checker_t|command_rec|cmd_parms|authz_provider|authz_status|ap_filter_t|ap_socache_provider_t|ap_socache_hints|apr_table_entry_t|apr_array_header_t)")
        .allowlist_var("(MODULE_MAGIC_NUMBER_M(AJOR|INOR))")
        .allowlist_var("(OK|DECLINED|HTTP_INTERNAL_SERVER_ERROR|APLOG_(EMERG|CRIT|ERR|WARNING|NOTICE|INFO|DEBUG|TRACE[1-8])|APLOG_STARTUP)")
        .allowlist_var("(APR_HOOK_.*|RSRC_CONF|ACCESS_CONF|APR_SUCCESS|APR_EGENERAL|AUTHZ_PROVIDER_(GROUP|VERSION)|AP_SOCACHE_(PROVIDER_GROUP|PROVIDER_VERSION|FLAG_NOTMPSAFE)|AP_SQ_.*|AP_MPMQ_MAX_(DAEMONS|THREADS)|CLOCK_MONOTONIC|AP_STATUS_(SHORT|NOTABLE)|NOT_IN_HTACCESS|AP_AUTH_INTERNAL_PER_CONF)")
        .default_macro_constant_type(bindgen::MacroTypeVariation::Signed)
        .generate_cstr(true)
        .generate_comments(false)
        .layout_tests(true)
        .merge_extern_blocks(true)
        .use_core()
        .formatter(bindgen::Formatter::None);
    let Ok(bindings) = bindings.generate() else {
        fail("bindgen could not read httpd's headers; it needs libclang", "libclang-dev");
    };
    let target = out_dir().join("bindings.rs");
    if let Err(error) = bindings.write_to_file(&target) {
        eprintln!("cannot write {}: {error}", target.display());
        exit(1);
    }
}

fn compile_shim(include: &[PathBuf]) {
    cc::Build::new()
        .file("apache/shim.c")
        .includes(include)
        .define("_GNU_SOURCE", None)
        .warnings(true)
        .warnings_into_errors(true)
        .flag_if_supported("-Wno-unused-parameter")
        .compile("token_binding_shim");
}

/// The named tool: from the environment variable, else the first of `names` that runs.
fn tool(variable: &str, names: [&str; 2], package: &str) -> String {
    if let Ok(path) = env::var(variable) {
        return path;
    }
    for name in names {
        if Command::new(name).arg("--version").output().is_ok()
            || Command::new(name).arg("-q").output().is_ok()
        {
            return name.to_owned();
        }
    }
    fail(&format!("{} is not installed (or set {variable} to its path)", names.join(" or ")), package)
}

fn output(tool: &str, arguments: &[&str], package: &str) -> String {
    match Command::new(tool).args(arguments).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => fail(&format!("`{tool} {}` failed", arguments.join(" ")), package),
    }
}

fn require(header: &Path, package: &str) {
    if !header.exists() {
        fail(&format!("{} is missing", header.display()), package);
    }
}

fn fail(problem: &str, package: &str) -> ! {
    println!("cargo::error={problem}. On Debian: apt-get install {package}");
    eprintln!("{problem}. On Debian: apt-get install {package}");
    exit(1);
}

fn out_dir() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").unwrap_or_else(|| {
        eprintln!("OUT_DIR is not set: run through cargo");
        exit(1);
    }))
}
