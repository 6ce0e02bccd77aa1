//! The words that a phone shows, in the five languages of the profile.

use crate::channel::Words;

/// Languages of the app. Whatever is not one of them is served in Italian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    Italian,
    English,
    Spanish,
    German,
    French,
}

impl Language {
    pub const ALL: [Self; 5] =
        [Self::Italian, Self::English, Self::Spanish, Self::German, Self::French];

    /// Reads `it_IT`, `en_GB` …; the part before the underscore decides.
    #[must_use]
    pub fn of(locale: &str) -> Self {
        match locale.split(['_', '-']).next().unwrap_or_default() {
            "en" => Self::English,
            "es" => Self::Spanish,
            "de" => Self::German,
            "fr" => Self::French,
            _ => Self::Italian,
        }
    }

    /// As `Content-Language` and `lang` want it (RFC 5646).
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Italian => "it",
            Self::English => "en",
            Self::Spanish => "es",
            Self::German => "de",
            Self::French => "fr",
        }
    }
}

/// Title and body of a push.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    pub title: String,
    pub body: String,
}

/// What a push about a message says. In full: who writes, and the subject. The message itself is for
/// a mailbox only; a push about it stays anonymous.
#[must_use]
pub fn push(words: &Words, language: Language) -> Shown {
    match words {
        Words::Full(notice) => {
            Shown { title: one_line(&notice.organisation), body: one_line(&notice.subject) }
        }
        Words::Anonymous | Words::Message(_) => {
            let (title, body) = anonymous(language);
            Shown { title: title.to_owned(), body: body.to_owned() }
        }
    }
}

/// IO's Italian words; the straight apostrophe is theirs.
fn anonymous(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::Italian => ("Hai un nuovo messaggio", "Entra nell'app per leggerlo"),
        Language::English => ("You have a new message", "Open the app to read it"),
        Language::Spanish => ("Tienes un mensaje nuevo", "Entra en la app para leerlo"),
        Language::German => ("Du hast eine neue Nachricht", "Öffne die App, um sie zu lesen"),
        Language::French => ("Vous avez un nouveau message", "Ouvrez l'application pour le lire"),
    }
}

/// Text fit for a title, a subject or a header: control characters become spaces, and so do those that
/// turn the direction of writing around, with which a text can show something else than it says.
#[must_use]
pub fn one_line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = |c: char| matches!(c, '\u{2028}' | '\u{2029}');
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() || turns(c) || breaks(c) { ' ' } else { c })
        .collect();
    spaced.trim().to_owned()
}

/// What `encode` makes of the words, which are cut until it is at most `most` bytes long: the body first,
/// then the title. `None` where even no words at all are too long.
pub fn fit(mut shown: Shown, most: usize, encode: impl Fn(&Shown) -> Vec<u8>) -> Option<Vec<u8>> {
    let mut bytes = encode(&shown);
    // No character takes fewer bytes encoded than plain, so a cut by the excess is enough.
    if let Some(excess) = bytes.len().checked_sub(most + 1) {
        shorten(&mut shown.body, excess + 1);
        bytes = encode(&shown);
    }
    if let Some(excess) = bytes.len().checked_sub(most + 1) {
        shorten(&mut shown.title, excess + 1);
        bytes = encode(&shown);
    }
    (bytes.len() <= most).then_some(bytes)
}

/// Cuts `text` so that it loses at least `bytes`, at a character's edge, and shows that it was cut.
fn shorten(text: &mut String, bytes: usize) {
    const MARK: &str = "…";
    let mut end = text.len().saturating_sub(bytes + MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    if end > 0 {
        text.push_str(MARK);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::content::Notice;

    use super::*;

    fn full() -> Words {
        Words::Full(Notice {
            organisation: "Comune di Laricheto".into(),
            service: "Anagrafe".into(),
            subject: "La tua carta\r\nè pronta".into(),
        })
    }

    #[test]
    fn an_unknown_language_is_served_in_italian() {
        for (locale, expected) in [
            ("it_IT", Language::Italian),
            ("en_GB", Language::English),
            ("es_ES", Language::Spanish),
            ("de_DE", Language::German),
            ("fr_FR", Language::French),
            ("sl_SI", Language::Italian),
            ("", Language::Italian),
        ] {
            assert_eq!(Language::of(locale), expected, "{locale}");
        }
    }

    #[test]
    fn the_full_words_are_the_organisation_and_the_subject_in_one_line() {
        let shown = push(&full(), Language::German);
        assert_eq!(shown.title, "Comune di Laricheto");
        assert_eq!(shown.body, "La tua carta  è pronta");
    }

    #[test]
    fn the_anonymous_italian_words_are_ios() {
        let shown = push(&Words::Anonymous, Language::Italian);
        assert_eq!(shown.title, "Hai un nuovo messaggio");
        assert_eq!(shown.body, "Entra nell'app per leggerlo");
    }

    #[test]
    fn every_language_has_words_of_its_own() {
        let mut titles: Vec<_> = Language::ALL.map(|language| anonymous(language).0).to_vec();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), Language::ALL.len());
    }

    #[test]
    fn a_text_cannot_turn_its_direction_around() {
        assert_eq!(one_line("a\u{202e}b\u{2067}c\u{2028}d"), "a b c d");
    }

    proptest! {
        #[test]
        fn a_shortened_text_loses_what_it_must(text in "\\PC{0,200}", bytes in 0usize..300) {
            let mut short = text.clone();
            shorten(&mut short, bytes);
            prop_assert!(short.is_empty() || short.len() + bytes <= text.len());
        }
    }
}
