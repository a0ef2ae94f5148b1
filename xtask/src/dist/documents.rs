//! Completions and man pages, from the definition of `platformer`'s command line.

use clap_complete::Shell;

const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "platformer.bash"),
    (Shell::Zsh, "_platformer"),
    (Shell::Fish, "platformer.fish"),
];

/// Paths in the archive and their contents.
pub(super) fn all() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for (shell, name) in SHELLS {
        let mut script = Vec::new();
        let mut definition = platformer::definition();
        clap_complete::generate(shell, &mut definition, "platformer", &mut script);
        files.push((format!("completions/{name}"), script));
    }
    let mut definition = platformer::definition();
    // Gives each subcommand its full name, such as platformer-config-set.
    definition.build();
    add_man_pages(&definition, &mut files)?;
    Ok(files)
}

/// Adds the page of a command and those of its subcommands.
fn add_man_pages(
    command: &clap::Command,
    files: &mut Vec<(String, Vec<u8>)>,
) -> std::io::Result<()> {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    files.push((format!("man/{name}.1"), page));
    let children = command.get_subcommands();
    for child in children.filter(|child| child.get_name() != "help") {
        add_man_pages(child, files)?;
    }
    Ok(())
}
