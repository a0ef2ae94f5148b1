//! The format of an artefact, by the ending of its name.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    TarGz,
    TarZst,
    Tar,
    /// Anything else.
    File,
}

impl Format {
    pub(super) fn of(file: &str) -> Self {
        let ends = |endings: &[&str]| endings.iter().any(|ending| file.ends_with(ending));
        if ends(&[".tar.gz", ".tgz"]) {
            Self::TarGz
        } else if ends(&[".tar.zst", ".tzst"]) {
            Self::TarZst
        } else if ends(&[".tar"]) {
            Self::Tar
        } else {
            Self::File
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_archive_ending_of_the_contract_is_unpacked() {
        for ending in repository_api::candidate::ARCHIVE_ENDINGS {
            assert_ne!(Format::of(&format!("a{ending}")), Format::File, "{ending}");
        }
        for file in ["a.gz", "a.zip", "a.jar", "run.sh", "tar"] {
            assert_eq!(Format::of(file), Format::File, "{file}");
        }
    }
}
