//! The format of a picture, detected from its first bytes. The name and type that a sender declares may be wrong.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Png,
    Jpeg,
    Gif,
    WebP,
}

impl Format {
    pub(crate) const ALL: [Self; 4] = [Self::Png, Self::Jpeg, Self::Gif, Self::WebP];

    /// Matches the signatures of <https://mimesniff.spec.whatwg.org/#image-type-pattern-matching-algorithm>.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..14) == Some(b"WEBPVP");
        [
            (Self::Png, bytes.starts_with(b"\x89PNG\r\n\x1a\n")),
            (Self::Jpeg, bytes.starts_with(b"\xff\xd8\xff")),
            (
                Self::Gif,
                bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a"),
            ),
            (Self::WebP, is_webp),
        ]
        .into_iter()
        .find_map(|(format, matches)| matches.then_some(format))
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::WebP => "webp",
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_identify_the_format() {
        for (bytes, format) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], Some(Format::Png)),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Some(Format::Jpeg)),
            (b"GIF89a\x01\0", Some(Format::Gif)),
            (b"GIF87a\x01\0", Some(Format::Gif)),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some(Format::WebP)),
            (b"RIFF\x24\0\0\0WAVEfmt ", None),
            (b"RIFF\x24\0\0", None),
            (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
            (b"<!doctype html>", None),
            (b"\x89PNG\n", None),
            (b"", None),
        ] {
            assert_eq!(Format::of(bytes), format, "{}", bytes.escape_ascii());
        }
    }
}
