//! `make install` on other systems than Debian: no mods-available, another folder for modules, another prefix. Debian's own
//! way is in documented_commands.rs, the package in scripts/deb-check.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::configuration::module_file;

/// What an apxs says whose httpd is installed below /opt.
const APXS: &str = "#!/bin/sh
case \"$1 $2\" in
'-q LIBEXECDIR') echo /opt/httpd/modules ;;
'-q SYSCONFDIR') echo /opt/httpd/conf ;;
*) exit 1 ;;
esac
";

fn install(folder: &Path) -> Output {
    Command::new("make")
        .arg("install")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("APXS", folder.join("apxs"))
        .env("CARGO_TARGET_DIR", folder.join("build"))
        .env("DESTDIR", folder.join("root"))
        .env("PREFIX", "/opt/tokbind")
        .output()
        .expect("make runs")
}

fn file(path: &Path, contents: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("our folder");
    fs::write(path, contents).expect("our file");
}

/// Every file below a folder, with its mode.
fn files(folder: &Path) -> Vec<String> {
    let output = Command::new("find").arg(folder).args(["-type", "f", "-printf", "%m %P\n"]).output();
    let output = output.expect("find runs");
    let mut files: Vec<String> =
        String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect();
    files.sort();
    files
}

#[test]
fn make_install_knows_other_systems_than_debian() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    file(&path("apxs"), APXS);
    fs::set_permissions(path("apxs"), fs::Permissions::from_mode(0o755)).expect("our file");

    let output = install(folder.path());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("run make release first"), "{output:?}");
    assert!(!path("root").exists());

    fs::create_dir_all(path("build/release")).expect("our folder");
    fs::copy(module_file(), path("build/release/mod_token_binding.so")).expect("the module");
    file(&path("build/release/tokbind"), "the command\n");
    let output = install(folder.path());
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("LoadModule token_binding_module /opt/httpd/modules/mod_token_binding.so"),
        "{said}"
    );
    assert!(said.contains("make manual makes them"), "{said}");
    let binaries = ["644 opt/httpd/modules/mod_token_binding.so", "755 opt/tokbind/bin/tokbind"];
    assert_eq!(files(&path("root")), binaries);

    for name in ["tokbind.1", "tokbind-get.1", "tokbind.bash", "tokbind.fish", "_tokbind"] {
        file(&path("build/manual").join(name), name);
    }
    assert!(install(folder.path()).status.success());
    let share = [
        "644 opt/tokbind/share/bash-completion/completions/tokbind",
        "644 opt/tokbind/share/fish/vendor_completions.d/tokbind.fish",
        "644 opt/tokbind/share/man/man1/tokbind-get.1",
        "644 opt/tokbind/share/man/man1/tokbind.1",
        "644 opt/tokbind/share/zsh/site-functions/_tokbind",
    ];
    let mut expected = [binaries.as_slice(), share.as_slice()].concat();
    expected.sort_unstable();
    assert_eq!(files(&path("root")), expected);
}
