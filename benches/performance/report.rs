//! Tables, on the terminal and in docs/performance.md.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A table of the document.
pub struct Table {
    /// It stands between the lines `<!-- table NAME -->` and `<!-- end -->`.
    name: &'static str,
    lines: Vec<Vec<String>>,
}

impl Table {
    pub fn new(name: &'static str, head: &[&str]) -> Self {
        Self { name, lines: vec![head.iter().map(ToString::to_string).collect()] }
    }

    pub fn row(&mut self, cells: &[String]) {
        self.lines.push(cells.to_vec());
    }

    pub fn print(&self) {
        println!("{}", self.markdown());
    }

    /// Words are on the left, numbers on the right.
    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let (head, rows) = self.lines.split_first().expect("a table has a head");
        let is_number = |column: usize| {
            let cell = rows.first().and_then(|row| row.get(column)).map(String::as_str).unwrap_or_default();
            cell.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        };
        let rule: Vec<&str> =
            (0..head.len()).map(|column| if is_number(column) { "---:" } else { "---" }).collect();
        let rows: String = rows.iter().map(|row| line(row)).collect();
        format!("{}|{}|\n{rows}", line(head), rule.join("|"))
    }

    /// Replaces the last one of its name.
    pub fn document(&self) {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        let text = fs::read_to_string(&file).expect("the document is there");
        let begin = format!("<!-- table {} -->\n", self.name);
        let (before, rest) =
            text.split_once(&begin).unwrap_or_else(|| panic!("{} lacks {begin}", file.display()));
        let (_, after) = rest.split_once("<!-- end -->").expect("the table ends");
        let text = format!("{before}{begin}{}<!-- end -->{after}", self.markdown());
        fs::write(&file, text).expect("the document can be written");
    }
}

/// `12,345`: rounded, with groups.
pub fn number(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 && digits != "0" { format!("-{text}") } else { text }
}

/// One digit after the point.
pub fn tenth(value: f64) -> String {
    format!("{value:.1}")
}

/// Where and when the figures come from. Other parts than these, where some are named, are as an earlier run left them.
pub fn machine(parts: &[&str]) -> Table {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let text =
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| {
            Some(line.strip_prefix("model name")?.trim_start_matches(['\t', ' ', ':']).to_owned())
        })
        .unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ");
    let mut table = Table::new("machine", &["measured", ""]);
    for (what, value) in [
        ("parts", if parts.is_empty() { "all".to_owned() } else { parts.join(", ") }),
        ("commit", said("git", &["describe", "--always", "--dirty", "--exclude=*"])),
        ("date (UTC)", said("date", &["--utc", "+%F %H:%M"])),
        ("processors", format!("{processors}: {processor}")),
        ("load average (1, 5, 15 minutes) at the beginning", load),
        ("httpd", said("/usr/sbin/apache2", &["-v"]).trim_start_matches("Server version: ").to_owned()),
        ("OpenSSL", openssl::version::version().to_owned()),
    ] {
        table.row(&[what.to_owned(), value]);
    }
    table
}
