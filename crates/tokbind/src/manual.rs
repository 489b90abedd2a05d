//! Writes what a package has besides the command itself: manual pages and shell completions, from the definition of its
//! arguments. `make manual` runs it.
#![forbid(unsafe_code)]

// The same definition that the command is made of; here it is only described.
#[allow(dead_code)]
mod command;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let date = std::env::args().nth(2);
    let (Some(folder), Some(date)) = (folder, date) else {
        eprintln!("usage: tokbind-manual FOLDER DATE");
        return ExitCode::from(2);
    };
    if let Err(error) = write(&folder, &date) {
        eprintln!("tokbind-manual: cannot write to {}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn write(folder: &Path, date: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command::Arguments::command(), "tokbind", folder)?;
    }
    let mut command = command::Arguments::command().disable_help_subcommand(true);
    command.build();
    for subcommand in command.get_subcommands() {
        page(subcommand, folder, date)?;
    }
    page(&command, folder, date)
}

/// One page: clap_mangen's sections, and what follows the help as sections of its own, with its lines as they are.
fn page(command: &Command, folder: &Path, date: &str) -> io::Result<()> {
    let manual = Man::new(command.clone())
        .title(name(command).to_uppercase())
        .date(date)
        .source("mod_token_binding")
        .manual("User Commands");
    let mut page = Vec::new();
    manual.render_title(&mut page)?;
    manual.render_name_section(&mut page)?;
    manual.render_synopsis_section(&mut page)?;
    manual.render_description_section(&mut page)?;
    manual.render_options_section(&mut page)?;
    if command.has_subcommands() {
        manual.render_subcommands_section(&mut page)?;
    }
    if let Some(help) = command.get_after_help() {
        after_help(&help.to_string(), &mut page)?;
    }
    see_also(command, &mut page)?;
    std::fs::write(folder.join(manual.get_filename()), page)
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// `Examples:` and its like begin a section; what stands under it is shown line by line.
fn after_help(help: &str, page: &mut impl Write) -> io::Result<()> {
    for paragraph in help.split("\n\n") {
        match paragraph.split_once(":\n") {
            Some((heading, lines)) if !heading.contains('\n') => {
                writeln!(page, ".SH {}\n.nf\n{}\n.fi", heading.to_uppercase(), escape(lines))?;
            }
            _ => writeln!(page, ".SH NOTES\n{}", escape(paragraph))?,
        }
    }
    Ok(())
}

fn see_also(command: &Command, page: &mut impl Write) -> io::Result<()> {
    let mut others: Vec<_> = command.get_subcommands().map(name).collect();
    if others.is_empty() {
        others.push("tokbind");
    }
    let others: Vec<_> = others.iter().map(|other| format!("\\fB{}\\fR(1)", escape(other))).collect();
    writeln!(page, ".SH SEE ALSO\n{}", others.join(", "))
}

/// Text as roff takes it literally: a backslash and a hyphen by their names, no line that begins with a dot or an apostrophe.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.lines().map(|line| format!("\\&{line}\n")).collect::<String>().trim_end().to_owned()
}
