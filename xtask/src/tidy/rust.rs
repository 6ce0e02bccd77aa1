//! As much of Rust as the rules need: what is code, what a comment, what a literal; which functions
//! there are and how long; which modules are tests.

use std::ops::RangeInclusive;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Code,
    Comment,
    /// The inside of a string or character, without its quotes, as written.
    Literal,
}

/// A stretch of one kind, and the line (from one) on which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    pub kind: Kind,
    pub text: &'a str,
    pub line: usize,
}

/// Splits a file; what lies between the pieces is quotes.
#[must_use]
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut at, mut line, mut code_from, mut code_line) = (0, 1, 0, 1);
    while at < text.len() {
        let Some((kind, inner, end)) = literal_or_comment(text, at) else {
            line += usize::from(text.as_bytes()[at] == b'\n');
            at += 1;
            continue;
        };
        if code_from < at {
            pieces.push(Piece { kind: Kind::Code, text: &text[code_from..at], line: code_line });
        }
        pieces.push(Piece { kind, text: &text[inner], line });
        line += text[at..end].matches('\n').count();
        (at, code_from, code_line) = (end, end, line);
    }
    if code_from < text.len() {
        pieces.push(Piece { kind: Kind::Code, text: &text[code_from..], line: code_line });
    }
    pieces
}

type Inner = std::ops::Range<usize>;

/// What begins at `at`: its kind, its inside, and where it ends.
fn literal_or_comment(text: &str, at: usize) -> Option<(Kind, Inner, usize)> {
    let rest = &text[text.is_char_boundary(at).then_some(at)?..];
    if rest.starts_with("//") {
        let end = at + rest.find('\n').unwrap_or(rest.len());
        return Some((Kind::Comment, at..end, end));
    }
    if rest.starts_with("/*") {
        let end = at + block_comment(rest);
        return Some((Kind::Comment, at..end, end));
    }
    if let Some(inside) = rest.strip_prefix('"') {
        let end = at + 1 + closing_quote(inside, '"');
        return Some((Kind::Literal, at + 1..end, (end + 1).min(text.len())));
    }
    let follows_a_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if !follows_a_word && (rest.starts_with('r') || rest.starts_with("br")) {
        return raw_string(text, at);
    }
    if rest.starts_with('\'') {
        return character(text, at);
    }
    None
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The distance to the quote that ends a literal in which `\` escapes.
fn closing_quote(inside: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at,
            _ => {}
        }
    }
    inside.len()
}

fn raw_string(text: &str, at: usize) -> Option<(Kind, Inner, usize)> {
    let rest = text[at..].trim_start_matches('b').strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let inside = rest[hashes..].strip_prefix('"')?;
    let start = text.len() - inside.len();
    let close = format!("\"{}", "#".repeat(hashes));
    let end = start + inside.find(&close).unwrap_or(inside.len());
    Some((Kind::Literal, start..end, (end + close.len()).min(text.len())))
}

/// A character, not a lifetime: `'a'`, `'\n'`, but not `'a`.
fn character(text: &str, at: usize) -> Option<(Kind, Inner, usize)> {
    let inside = &text[at + 1..];
    let first = inside.chars().next()?;
    let length = if first == '\\' { closing_quote(inside, '\'') } else { first.len_utf8() };
    inside[length..].starts_with('\'').then_some(())?;
    Some((Kind::Literal, at + 1..at + 1 + length, at + length + 2))
}

/// The code alone: same length, same lines, everything else blank.
#[must_use]
pub fn code(text: &str) -> String {
    let mut out: Vec<u8> =
        text.bytes().map(|byte| if byte == b'\n' { b'\n' } else { b' ' }).collect();
    let base = text.as_ptr() as usize;
    for piece in pieces(text).iter().filter(|piece| piece.kind == Kind::Code) {
        let from = piece.text.as_ptr() as usize - base;
        out[from..from + piece.text.len()].copy_from_slice(piece.text.as_bytes());
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Every place where `word` stands alone: its byte offset.
pub fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        !text[..*at].ends_with(of_word) && !text[at + word.len()..].starts_with(of_word)
    })
}

/// The line, from one, of a byte offset.
#[must_use]
pub fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

/// The end of the block that the first `{` after `from` opens; `None` where a `;` comes first.
fn block_end(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut open = false;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b'{' => {
                open |= depth == 0;
                depth += 1;
            }
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if open && depth == 0 {
                    return Some(at);
                }
            }
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// A function with a body: from its `fn` line to its closing brace, both counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

#[must_use]
pub fn functions(text: &str) -> Vec<Function> {
    let code = code(text);
    let mut out = Vec::new();
    for at in words(&code, "fn") {
        let rest = code[at + 2..].trim_start();
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue; // a function's type
        }
        if let Some(end) = block_end(&code, at + 2) {
            let line = line_of(&code, at);
            out.push(Function { name, line, lines: line_of(&code, end) - line + 1 });
        }
    }
    out
}

/// The lines of every inline module under `#[cfg(test)]`.
#[must_use]
pub fn test_modules(text: &str) -> Vec<RangeInclusive<usize>> {
    let code = code(text);
    let marker = "#[cfg(test)]";
    code.match_indices(marker)
        .filter_map(|(at, _)| {
            let end = block_end(&code, at + marker.len())?;
            Some(line_of(&code, at)..=line_of(&code, end))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, kind: Kind, expected: &[&str]) {
        let found: Vec<&str> = pieces(text)
            .iter()
            .filter(|piece| piece.kind == kind)
            .map(|piece| piece.text)
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn literals_are_told_from_comments_and_lifetimes() {
        check(r#"f("a\"b", 'c', '\'', b"d")"#, Kind::Literal, &[r#"a\"b"#, "c", r"\'", "d"]);
        check("fn f<'a>(x: &'a str) {} // 'x'", Kind::Literal, &[]);
        check("let a = r#\"b \" c\"#; r\"d\"; bar\"e\"", Kind::Literal, &["b \" c", "d", "e"]);
        check("a /* b /* c */ d */ e // f\ng", Kind::Comment, &["/* b /* c */ d */", "// f"]);
        check("\"// no comment\" è 'è'", Kind::Literal, &["// no comment", "è"]);
    }

    #[test]
    fn a_piece_knows_its_line() {
        let all = pieces("a\n\"b\nc\" // d\n'e'");
        let lines: Vec<usize> =
            all.iter().filter(|piece| piece.kind != Kind::Code).map(|piece| piece.line).collect();
        assert_eq!(lines, [2, 3, 4]);
    }

    #[test]
    fn a_function_is_measured_by_its_own_braces() {
        let text = "trait T { fn no_body(&self) -> [u8; 4]; }\nfn one() {}\n\
                    fn two(f: fn(u8)) {\n  \"}\"; // }\n  if a { b }\n}\n";
        let found = functions(text);
        let measured: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(measured, [("one", 2, 1), ("two", 3, 4)]);
    }

    #[test]
    fn a_test_module_ends_at_its_brace() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n\
                    #[cfg(test)]\nmod far;\n";
        assert_eq!(test_modules(text), [2..=5]);
    }
}
