//! The words around the link that validates an address.

use super::{Piece, Written, written};
use crate::wording::Language;

struct Asking {
    subject: &'static str,
    heading: &'static str,
    invitation: &'static str,
    /// Holds `{hours}`.
    life: &'static str,
    otherwise: &'static str,
}

/// Asks whether the address is the reader's own. Names no citizen and repeats no address: it may have
/// been written down by somebody else.
pub(in super::super) fn validation(language: Language, link: &str, hours: u64) -> Written {
    let asking = asking(language);
    let life = asking.life.replace("{hours}", &hours.to_string());
    let pieces = [
        Piece::Heading(asking.heading),
        Piece::Paragraph(asking.invitation),
        Piece::Link(link),
        Piece::Paragraph(&life),
        Piece::Rule,
        Piece::Small(asking.otherwise),
    ];
    written(asking.subject.to_owned(), language, &pieces)
}

fn asking(language: Language) -> Asking {
    match language {
        Language::Italian => Asking {
            subject: "Conferma il tuo indirizzo email",
            heading: "Questo indirizzo email è tuo?",
            invitation: "Per ricevere qui gli avvisi dei servizi pubblici, apri questa pagina e \
                         confermalo:",
            life: "Il collegamento vale {hours} ore.",
            otherwise: "Se non l'hai chiesto tu, non fare nulla: l'indirizzo non sarà usato.",
        },
        Language::English => Asking {
            subject: "Confirm your email address",
            heading: "Is this email address yours?",
            invitation: "To receive notices of public services here, open this page and confirm it:",
            life: "The link works for {hours} hours.",
            otherwise: "If you did not ask for this, do nothing: the address will not be used.",
        },
        Language::Spanish => Asking {
            subject: "Confirma tu dirección de correo",
            heading: "¿Esta dirección de correo es tuya?",
            invitation: "Para recibir aquí los avisos de los servicios públicos, abre esta página y \
                         confírmala:",
            life: "El enlace vale {hours} horas.",
            otherwise: "Si no lo has pedido tú, no hagas nada: la dirección no se usará.",
        },
        Language::German => Asking {
            subject: "Bestätige deine E-Mail-Adresse",
            heading: "Ist das deine E-Mail-Adresse?",
            invitation: "Um hier Hinweise öffentlicher Dienste zu erhalten, öffne diese Seite und \
                         bestätige sie:",
            life: "Der Link gilt {hours} Stunden.",
            otherwise: "Wenn du das nicht wolltest, tu nichts: Die Adresse wird nicht verwendet.",
        },
        Language::French => Asking {
            subject: "Confirmez votre adresse électronique",
            heading: "Cette adresse électronique est-elle la vôtre ?",
            invitation: "Pour recevoir ici les avis des services publics, ouvrez cette page et \
                         confirmez-la :",
            life: "Le lien est valable {hours} heures.",
            otherwise: "Si vous n'avez rien demandé, ne faites rien : l'adresse ne sera pas utilisée.",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://app.example/mailbox/t";

    #[test]
    fn it_says_the_same_in_text_and_html_in_every_language_and_loads_nothing() {
        let mut subjects = std::collections::BTreeSet::new();
        for language in Language::ALL {
            let written = validation(language, LINK, 24);
            let asking = asking(language);
            assert!(subjects.insert(written.subject));
            for part in [asking.heading, asking.invitation, asking.otherwise, LINK, "24"] {
                assert!(written.text.contains(part), "{part}");
                assert!(written.html.contains(&super::super::escaped(part)), "{part}");
            }
            assert!(!written.text.contains("{hours}"));
            assert_eq!(written.html.matches("http").count(), 2, "the link, as target and as text");
            for tag in ["<img", "<script", "<link", "<style", "src="] {
                assert!(!written.html.contains(tag), "{tag}");
            }
        }
    }
}
