//! The words of a mail in five languages, as text and as HTML from one source. Version 1.
//!
//! A notice is generic: neither subject nor sender of the message, no request, no link but the
//! official one in full, nothing that is loaded from elsewhere.

mod validation;

use schemas::content::Content;
pub(super) use validation::validation;

use crate::wording::{Language, one_line};

/// A finished mail's words.
pub(super) struct Written {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// What frames both kinds of mail.
struct Frame {
    subject: &'static str,
    heading: &'static str,
    invitation: &'static str,
    why: &'static str,
    /// Before `organisation` of a message sent to a fallback address.
    from: &'static str,
    service: &'static str,
    why_fallback: &'static str,
    stop: &'static str,
}

fn frame(language: Language) -> Frame {
    match language {
        Language::Italian => Frame {
            subject: "Hai un nuovo messaggio",
            heading: "Un servizio pubblico ti ha inviato un messaggio.",
            invitation: "Per leggerlo entra nell'app oppure apri questa pagina:",
            why: "Ricevi questa email perché hai scelto di essere avvisato per email.",
            from: "Messaggio di",
            service: "Servizio",
            why_fallback: "Ricevi questa email perché chi scrive conosce questo indirizzo.",
            stop: "Se non vuoi più ricevere email da questo servizio:",
        },
        Language::English => Frame {
            subject: "You have a new message",
            heading: "A public service has sent you a message.",
            invitation: "To read it, open the app or this page:",
            why: "You receive this email because you chose to be told by email.",
            from: "Message from",
            service: "Service",
            why_fallback: "You receive this email because the sender knows this address.",
            stop: "To receive no more emails from this service:",
        },
        Language::Spanish => Frame {
            subject: "Tienes un mensaje nuevo",
            heading: "Un servicio público te ha enviado un mensaje.",
            invitation: "Para leerlo, entra en la app o abre esta página:",
            why: "Recibes este correo porque has elegido recibir avisos por correo electrónico.",
            from: "Mensaje de",
            service: "Servicio",
            why_fallback: "Recibes este correo porque quien escribe conoce esta dirección.",
            stop: "Si no quieres recibir más correos de este servicio:",
        },
        Language::German => Frame {
            subject: "Du hast eine neue Nachricht",
            heading: "Ein öffentlicher Dienst hat dir eine Nachricht gesendet.",
            invitation: "Um sie zu lesen, öffne die App oder diese Seite:",
            why: "Du erhältst diese E-Mail, weil du per E-Mail benachrichtigt werden möchtest.",
            from: "Nachricht von",
            service: "Dienst",
            why_fallback: "Du erhältst diese E-Mail, weil der Absender diese Adresse kennt.",
            stop: "Wenn du keine E-Mails von diesem Dienst mehr erhalten möchtest:",
        },
        Language::French => Frame {
            subject: "Vous avez un nouveau message",
            heading: "Un service public vous a envoyé un message.",
            invitation: "Pour le lire, ouvrez l'application ou cette page :",
            why: "Vous recevez ce courriel car vous avez choisi d'être averti par courriel.",
            from: "Message de",
            service: "Service",
            why_fallback: "Vous recevez ce courriel car l'expéditeur connaît cette adresse.",
            stop: "Pour ne plus recevoir de courriels de ce service :",
        },
    }
}

/// One piece of a mail, shown in both forms.
enum Piece<'a> {
    Heading(&'a str),
    Paragraph(&'a str),
    Link(&'a str),
    /// The sender's own text, paragraphs parted by empty lines.
    Message(&'a str),
    Rule,
    Small(&'a str),
}

/// That there is a message, and where to read it.
pub(super) fn notice(language: Language, link: &str, unsubscribe: &str) -> Written {
    let frame = frame(language);
    let pieces = [
        Piece::Heading(frame.heading),
        Piece::Paragraph(frame.invitation),
        Piece::Link(link),
        Piece::Rule,
        Piece::Small(frame.why),
        Piece::Small(frame.stop),
        Piece::Link(unsubscribe),
    ];
    written(frame.subject.to_owned(), language, &pieces)
}

/// The message itself. Its Markdown is shown as it was written.
pub(super) fn message(content: &Content, language: Language, unsubscribe: &str) -> Written {
    let frame = frame(language);
    let subject = one_line(content.text("subject"));
    let from = format!("{} {}", frame.from, one_line(&content.organisation));
    let service = format!("{}: {}", frame.service, one_line(&content.service));
    let body = many_lines(content.text("markdown"));
    let pieces = [
        Piece::Paragraph(&from),
        Piece::Paragraph(&service),
        Piece::Heading(&subject),
        Piece::Message(&body),
        Piece::Rule,
        Piece::Small(frame.why_fallback),
        Piece::Small(frame.stop),
        Piece::Link(unsubscribe),
    ];
    written(subject.clone(), language, &pieces)
}

fn written(subject: String, language: Language, pieces: &[Piece<'_>]) -> Written {
    let text: Vec<String> = pieces.iter().map(in_text).collect();
    let html: Vec<String> = pieces.iter().map(in_html).collect();
    let html = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body>\n{}\n</body>\n</html>\n",
        language.tag(),
        escaped(&subject),
        html.join("\n")
    );
    Written { subject, text: text.join("\n\n") + "\n", html }
}

fn in_text(piece: &Piece<'_>) -> String {
    match piece {
        Piece::Heading(text)
        | Piece::Paragraph(text)
        | Piece::Link(text)
        | Piece::Message(text)
        | Piece::Small(text) => (*text).to_owned(),
        // Two hyphens and a space begin what programs fold away as a signature.
        Piece::Rule => "-- ".to_owned(),
    }
}

fn in_html(piece: &Piece<'_>) -> String {
    match piece {
        Piece::Heading(text) => format!("<h1>{}</h1>", escaped(text)),
        Piece::Paragraph(text) => format!("<p>{}</p>", escaped(text)),
        Piece::Link(url) => format!("<p><a href=\"{0}\">{0}</a></p>", escaped(url)),
        Piece::Message(text) => {
            let paragraphs = text.split("\n\n").filter(|part| !part.trim().is_empty());
            let shown: Vec<String> = paragraphs
                .map(|part| {
                    format!("<p>{}</p>", escaped(part.trim_matches('\n')).replace('\n', "<br>\n"))
                })
                .collect();
            shown.join("\n")
        }
        Piece::Rule => "<hr>".to_owned(),
        Piece::Small(text) => format!("<p><small>{}</small></p>", escaped(text)),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The sender's text with plain line ends and no other control characters than tabs.
fn many_lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| {
            let parts: Vec<String> = line.split('\t').map(one_line_kept).collect();
            parts.join("\t")
        })
        .collect();
    lines.join("\n")
}

/// As [`one_line`], with the spaces that Markdown means something by.
fn one_line_kept(text: &str) -> String {
    let plain = text.trim_start_matches(' ');
    let indent = text.len() - plain.len();
    let kept = plain.trim_end_matches(' ');
    format!("{}{}{}", " ".repeat(indent), one_line(kept), " ".repeat(plain.len() - kept.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(subject: &str, markdown: &str) -> Content {
        Content {
            fiscal_code: "AAAAAA00A00A000A".into(),
            created_at: "2026-11-23T08:00:00.000Z".into(),
            time_to_live: 3_600,
            feature_level_type: "STANDARD".into(),
            content: json!({"subject": subject, "markdown": markdown}),
            fallback_email: Some("a@b.example".into()),
            organisation: "Comune di <Laricheto>".into(),
            service: "Anagrafe & Stato civile".into(),
        }
    }

    const LINK: &str = "https://app.example/inbox";
    const STOP: &str = "https://app.example/unsubscribe/t";

    #[test]
    fn a_notice_says_the_same_in_text_and_html_in_every_language() {
        for language in Language::ALL {
            let written = notice(language, LINK, STOP);
            let frame = frame(language);
            for part in [frame.heading, frame.invitation, frame.why, frame.stop, LINK, STOP] {
                assert!(written.text.contains(part), "{part}");
                assert!(written.html.contains(&escaped(part)), "{part}");
            }
            assert!(written.html.contains(&format!("lang=\"{}\"", language.tag())));
        }
    }

    #[test]
    fn nothing_in_a_mail_is_loaded_from_elsewhere() {
        for written in [
            notice(Language::Italian, LINK, STOP),
            message(&content("s", "![x](https://track.example/p.gif)"), Language::Italian, STOP),
        ] {
            for tag in ["<img", "<script", "<link", "<style", "<iframe", "src="] {
                assert!(!written.html.contains(tag), "{tag}");
            }
            assert_eq!(written.html.matches("href=").count(), written.html.matches("<a ").count());
        }
    }

    #[test]
    fn a_message_names_its_sender_and_is_shown_whole_and_inert() {
        let written = message(
            &content("Una <b>carta</b>", "# Titolo\n\nprima\nseconda <script>"),
            Language::Italian,
            STOP,
        );
        assert_eq!(written.subject, "Una <b>carta</b>");
        assert!(written.text.contains("Messaggio di Comune di <Laricheto>"));
        assert!(written.text.contains("# Titolo\n\nprima\nseconda <script>"));
        assert!(written.html.contains("<h1>Una &lt;b&gt;carta&lt;/b&gt;</h1>"));
        assert!(written.html.contains("<p>prima<br>\nseconda &lt;script&gt;</p>"));
        assert!(written.html.contains("Anagrafe &amp; Stato civile"));
    }

    #[test]
    fn a_senders_text_keeps_its_lines_and_loses_control_characters() {
        assert_eq!(many_lines("a\r\nb\rc\n  d\te \u{7}\u{202e}f  "), "a\nb\nc\n  d\te   f  ");
    }
}
