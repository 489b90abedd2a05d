//! What a test asks of its server, and the httpd.conf that follows from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::httpd::Httpd;
use super::log::Expectations;
use super::ports::Port;
use super::site::{self, Entry};

const MODULES: &str = "/usr/lib/apache2/modules";

/// How httpd spreads its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mpm {
    Event,
    Worker,
    Prefork,
}

impl Mpm {
    pub const ALL: [Self; 3] = [Self::Event, Self::Worker, Self::Prefork];

    /// The middle of the module's file name: `mod_mpm_NAME.so`.
    fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Worker => "worker",
            Self::Prefork => "prefork",
        }
    }

    /// One child to begin with and little idle capacity, so that children come and go during a test.
    fn limits(self, children: usize) -> String {
        match self {
            Self::Event | Self::Worker => format!(
                "StartServers {children}\nServerLimit 8\nThreadsPerChild 8\nMaxRequestWorkers 64\n\
                 MinSpareThreads 1\nMaxSpareThreads 64\n"
            ),
            Self::Prefork => format!(
                "StartServers {children}\nServerLimit 16\nMaxRequestWorkers 16\nMinSpareServers 1\n\
                 MaxSpareServers 16\n"
            ),
        }
    }
}

/// Where the LoadModule line of our module stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModulePosition {
    AfterSsl,
    BeforeSsl,
    Absent,
}

/// One `<VirtualHost>`.
pub struct Vhost {
    name: String,
    tls: bool,
    port: String,
    lines: String,
}

impl Vhost {
    /// A host with TLS on the port `tls`, with the certificate `server`.
    pub fn tls(name: &str) -> Self {
        Self { name: name.to_owned(), tls: true, port: "tls".to_owned(), lines: String::new() }
    }

    /// A host without TLS on the port `plain`.
    pub fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), tls: false, port: "plain".to_owned(), lines: String::new() }
    }

    /// Another port, by a name of the test's choice: `server.port(name)` is its number.
    pub fn on(mut self, port: &str) -> Self {
        port.clone_into(&mut self.port);
        self
    }

    /// Directives inside this host. `{docroot}`, `{run}`, `{pki}` and `{port:NAME}` are replaced.
    pub fn config(mut self, lines: &str) -> Self {
        self.lines.push_str(lines);
        self.lines.push('\n');
        self
    }

    fn render(&self) -> String {
        let Self { name, port, lines, .. } = self;
        let tls = match self.tls {
            true => {
                "SSLEngine On\nSSLCertificateFile {pki}/server.pem\nSSLCertificateKeyFile {pki}/server.key\n\
                 SSLCACertificateFile {pki}/ca.pem\n"
            }
            false => "",
        };
        format!("<VirtualHost 127.0.0.1:{{port:{port}}}>\nServerName {name}\n{tls}{lines}</VirtualHost>\n")
    }
}

/// A server to be. Defaults: event MPM, our module after mod_ssl, a host `localhost` with TLS and one without, both
/// serving `site::default_entries()`.
pub struct Builder {
    mpm: Mpm,
    children: usize,
    position: ModulePosition,
    module: PathBuf,
    modules: Vec<String>,
    server_lines: String,
    tls_host: Vhost,
    plain_host: Vhost,
    more_hosts: Vec<Vhost>,
    values: BTreeMap<String, String>,
    log_level: Option<String>,
    entries: Vec<Entry>,
    access_log: bool,
    pub(super) runner: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) expectations: Expectations,
}

impl Builder {
    pub(super) fn new() -> Self {
        let runner = under();
        Self {
            mpm: Mpm::Event,
            children: 1,
            position: ModulePosition::AfterSsl,
            module: module_file(),
            modules: Vec::new(),
            server_lines: String::new(),
            tls_host: Vhost::tls("localhost"),
            plain_host: Vhost::plain("localhost"),
            more_hosts: Vec::new(),
            values: BTreeMap::new(),
            log_level: None,
            entries: site::default_entries(),
            access_log: true,
            environment: Vec::new(),
            // A process that is examined ends slowly: httpd tells it twice.
            expectations: Expectations {
                allowed: if runner.is_empty() { Vec::new() } else { vec!["AH00045".to_owned()] },
                ..Expectations::default()
            },
            runner,
        }
    }

    pub fn mpm(mut self, mpm: Mpm) -> Self {
        self.mpm = mpm;
        self
    }

    /// Children at the start; one by default, so that consecutive connections meet the same process.
    pub fn children(mut self, children: usize) -> Self {
        self.children = children;
        self
    }

    pub fn position(mut self, position: ModulePosition) -> Self {
        self.position = position;
        self
    }

    /// Another build of our module.
    pub fn module(mut self, file: &Path) -> Self {
        file.clone_into(&mut self.module);
        self
    }

    pub fn without_module(self) -> Self {
        self.position(ModulePosition::Absent)
    }

    /// More of Debian's modules, by the middle of their names: `["proxy", "proxy_http"]`, in this order.
    pub fn load(mut self, modules: &[&str]) -> Self {
        self.modules.extend(modules.iter().map(|&module| module.to_owned()));
        self
    }

    /// Directives of the main server, which every host inherits.
    pub fn config(mut self, lines: &str) -> Self {
        self.server_lines.push_str(lines);
        self.server_lines.push('\n');
        self
    }

    /// Directives of `localhost` with TLS.
    pub fn tls_config(mut self, lines: &str) -> Self {
        self.tls_host = self.tls_host.config(lines);
        self
    }

    /// Directives of `localhost` without TLS.
    pub fn plain_config(mut self, lines: &str) -> Self {
        self.plain_host = self.plain_host.config(lines);
        self
    }

    /// One more host, after the two named `localhost`.
    pub fn vhost(mut self, vhost: Vhost) -> Self {
        self.more_hosts.push(vhost);
        self
    }

    /// `{name}` in any directive stands for `value`.
    pub fn value(mut self, name: &str, value: impl ToString) -> Self {
        self.values.insert(format!("{{{name}}}"), value.to_string());
        self
    }

    /// One more file below the document root; `#!` at its beginning makes it an executable script.
    pub fn file(mut self, path: &str, contents: &str) -> Self {
        self.entries.push(Entry::new(path, contents));
        self
    }

    /// Replaces `info token_binding:trace4`.
    pub fn log_level(mut self, level: &str) -> Self {
        self.log_level = Some(level.to_owned());
        self
    }

    /// No access log, where its cost would be measured along.
    pub fn without_access_log(mut self) -> Self {
        self.access_log = false;
        self
    }

    /// httpd runs under another program, such as valgrind with its options.
    pub fn under(mut self, runner: &[&str]) -> Self {
        self.runner = runner.iter().map(ToString::to_string).collect();
        self
    }

    /// An environment variable for httpd itself.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lines of the log at level warn or worse that match `pattern` are fine.
    pub fn allow_log(mut self, pattern: &str) -> Self {
        self.expectations.allowed.push(pattern.to_owned());
        self
    }

    /// As `allow_log`, and at the end there must have been one.
    pub fn expect_log(mut self, pattern: &str) -> Self {
        self.expectations.required.push(pattern.to_owned());
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// Where it does not start, with everything it said.
    pub fn start(self) -> Httpd {
        match Httpd::start(self) {
            Ok(server) => server,
            Err(failure) => panic!("httpd does not start (exit {:?})\n{}", failure.code, failure.output),
        }
    }

    /// Starts the server, which may refuse: some faults appear only after `configtest`.
    pub fn try_start(self) -> Result<Httpd, Verdict> {
        Httpd::start(self)
    }

    /// `apachectl configtest`: reads the configuration without starting.
    pub fn configtest(self) -> Verdict {
        Httpd::configtest(self)
    }

    fn hosts(&self) -> impl Iterator<Item = &Vhost> {
        [&self.tls_host, &self.plain_host].into_iter().chain(&self.more_hosts)
    }

    /// Scripts are run by mod_cgid's daemon, since a process with threads should not fork.
    pub(super) fn runs_cgid(&self) -> bool {
        self.mpm != Mpm::Prefork
    }

    /// Reserves one port for each port name.
    pub(super) fn reserve_ports(&self) -> BTreeMap<String, Port> {
        let mut ports = BTreeMap::new();
        for host in self.hosts() {
            ports.entry(host.port.clone()).or_insert_with(Port::reserve);
        }
        ports
    }

    pub(super) fn write_site(&self, document_root: &Path) {
        for entry in &self.entries {
            entry.write(document_root);
        }
    }

    /// The whole httpd.conf of a server in the folder `root`.
    pub(super) fn render(&self, root: &Path, ports: &BTreeMap<String, Port>) -> String {
        let mut text = self.preamble();
        for name in ports.keys() {
            let _ = writeln!(text, "Listen 127.0.0.1:{{port:{name}}}");
        }
        text.push_str(&self.server_lines);
        for host in self.hosts() {
            text.push_str(&host.render());
        }
        for (placeholder, value) in &self.values {
            text = text.replace(placeholder, value);
        }
        for (name, port) in ports {
            text = text.replace(&format!("{{port:{name}}}"), &port.number().to_string());
        }
        let folder = |name: &str| root.join(name).display().to_string();
        text.replace("{docroot}", &folder("htdocs"))
            .replace("{run}", &folder("run"))
            .replace("{pki}", &folder("pki"))
            .replace("{root}", &root.display().to_string())
    }

    fn preamble(&self) -> String {
        let mut text =
            String::from("ServerRoot \"{root}\"\nDefaultRuntimeDir \"{run}\"\nPidFile {run}/httpd.pid\n");
        for (name, file) in self.load_order() {
            let _ = writeln!(text, "LoadModule {name}_module {}", file.display());
        }
        if running_as_root() {
            text.push_str("User www-data\nGroup www-data\n");
        }
        text.push_str(&self.mpm.limits(self.children));
        if self.runs_cgid() {
            text.push_str("ScriptSock {run}/cgid.sock\n");
        }
        let _ = writeln!(text, "LogLevel {}", self.effective_log_level());
        text.push_str(PREAMBLE);
        if self.access_log {
            text.push_str(ACCESS_LOG);
        }
        text
    }

    fn effective_log_level(&self) -> &str {
        match (&self.log_level, self.position) {
            (Some(level), _) => level,
            // httpd refuses a level for a module that it has not loaded.
            (None, ModulePosition::Absent) => "info",
            (None, _) => "info token_binding:trace4",
        }
    }

    fn load_order(&self) -> Vec<(String, PathBuf)> {
        let cgi = if self.runs_cgid() { "cgid" } else { "cgi" };
        let mpm = format!("mpm_{}", self.mpm.name());
        let ours = ("token_binding".to_owned(), self.module.clone());
        let debian = |name: &str| (name.to_owned(), Path::new(MODULES).join(format!("mod_{name}.so")));
        let mut order = vec![debian(&mpm)];
        if self.position == ModulePosition::BeforeSsl {
            order.push(ours.clone());
        }
        for name in ["authn_core", "authz_core", "mime", "dir", "alias", "env", cgi, "socache_shmcb", "ssl"] {
            order.push(debian(name));
        }
        if self.position == ModulePosition::AfterSsl {
            order.push(ours);
        }
        order.extend(self.modules.iter().map(|name| debian(name)));
        order
    }
}

/// The same for every server. Mutexes are anonymous, so nothing is left behind where a server had to be killed.
const PREAMBLE: &str = r#"Mutex pthread default
ServerName localhost
ServerTokens Full
Timeout 10
KeepAliveTimeout 15
GracefulShutdownTimeout 2
EnableSendfile Off
ErrorLog {root}/error.log
TypesConfig {root}/mime.types
SSLSessionCache shmcb:{run}/ssl_scache(512000)
SSLProtocol -all +TLSv1.2 +TLSv1.3
DocumentRoot "{docroot}"
DirectoryIndex index.html
AddHandler cgi-script .cgi
<IfModule mod_include.c>
  AddType text/html .shtml
  AddOutputFilter INCLUDES .shtml
</IfModule>
<Directory />
  AllowOverride None
  Require all denied
</Directory>
<Directory "{docroot}">
  Options FollowSymLinks ExecCGI Includes
  Require all granted
</Directory>
"#;

const ACCESS_LOG: &str = r#"LogFormat "%v %p %H %>s %{Token-Binding-Status}e \"%r\"" status
CustomLog {root}/access.log status
"#;

/// What every httpd of this run is started with, such as `valgrind` and its options (make valgrind, make asan).
fn under() -> Vec<String> {
    let words = std::env::var("MOD_TOKEN_BINDING_UNDER").unwrap_or_default();
    words.split_whitespace().map(str::to_owned).collect()
}

/// What `apache2 -t`, or a start that failed, came to.
#[derive(Debug)]
pub struct Verdict {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard error, then to its error log.
    pub output: String,
}

/// `MOD_TOKEN_BINDING_SO`, or what cargo built beside the test binary because the root package is an rlib too.
pub fn module_file() -> PathBuf {
    if let Some(path) = std::env::var_os("MOD_TOKEN_BINDING_SO") {
        return PathBuf::from(path);
    }
    let binary = std::env::current_exe().expect("a test binary has a path");
    binary.parent().expect("it is in a folder").join("libmod_token_binding.so")
}

/// /proc/self belongs to the effective user.
fn running_as_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
