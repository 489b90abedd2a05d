//! What the private server serves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// One file below the document root.
pub struct Entry {
    path: String,
    contents: String,
}

impl Entry {
    /// What begins as a script does becomes executable.
    pub fn new(path: &str, contents: &str) -> Self {
        Self { path: path.to_owned(), contents: contents.to_owned() }
    }

    /// Writes it for the server's user to read.
    pub fn write(&self, document_root: &Path) {
        let path = document_root.join(&self.path);
        make_folder(path.parent().expect("a file is below the document root"));
        let mode = if self.contents.starts_with("#!") { 0o755 } else { 0o644 };
        write(&path, self.contents.as_bytes(), mode);
    }
}

/// The pages every server has:
/// `/` and `/hello.txt` static, `/cgi/env.cgi` the environment sorted, `/cgi/redirect.cgi` an internal redirect to it,
/// `/cgi/input.cgi` the request body back, `/include.shtml` the environment by subrequest.
pub fn default_entries() -> Vec<Entry> {
    vec![
        Entry::new("index.html", "<h1>it serves</h1>\n"),
        Entry::new("hello.txt", "hello\n"),
        Entry::new("cgi/env.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv | sort\n"),
        // RFC 3875 §6.2.2: a local Location makes the server process another request of its own.
        Entry::new("cgi/redirect.cgi", "#!/bin/sh\nprintf 'Location: /cgi/env.cgi\\r\\n\\r\\n'\n"),
        Entry::new("cgi/input.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nexec cat\n"),
        Entry::new("include.shtml", "<!--#include virtual=\"/cgi/env.cgi\" -->\n"),
    ]
}

/// Writes a file with exactly this mode, whatever the umask.
pub fn write(path: &Path, contents: &[u8], mode: u32) {
    fs::write(path, contents).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    set_mode(path, mode);
}

/// Makes a folder, and those above it, that everybody may enter.
pub fn make_folder(path: &Path) {
    fs::create_dir_all(path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
    set_mode(path, 0o755);
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}
