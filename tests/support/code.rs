//! The code of a Rust file, without its comments and literals.
//!
//! A lexer of just these: it never fails, and what it cannot make sense of stays code.

/// Returns the code of a Rust file: comments and contents of literals become spaces, lines stay.
pub fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = literal_or_comment(rest, code.chars().next_back());
        let length = if skipped == 0 { first.len_utf8() } else { skipped };
        let (taken, tail) = rest.split_at(length);
        if skipped == 0 {
            code.push(first);
        } else {
            code.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = tail;
    }
    code
}

/// Returns `code` up to its unit tests, which may do what the code must not.
pub fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]").map_or(code, |at| &code[..at])
}

/// Returns the length of the comment or literal that `rest` begins with, 0 if it begins with code.
fn literal_or_comment(rest: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if let Some(body) = rest.strip_prefix("/*") {
        return body.find("*/").map_or(rest.len(), |end| end + 4);
    }
    if !in_word && let Some(length) = raw_string(rest) {
        return length;
    }
    if let Some(body) = rest.strip_prefix('"') {
        return closing(body, '"').map_or(rest.len(), |end| end + 2);
    }
    // A quote opens a character unless it opens a lifetime, which no quote closes.
    if let Some(body) = rest.strip_prefix('\'') {
        let mut chars = body.chars();
        let (first, second) = (chars.next(), chars.next());
        if first == Some('\\') || second == Some('\'') {
            return closing(body, '\'').map_or(rest.len(), |end| end + 2);
        }
    }
    0
}

/// Returns the length of the raw string that `rest` begins with.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r"].into_iter().find(|prefix| rest.starts_with(prefix))?;
    let hashes = rest[prefix.len()..].bytes().take_while(|byte| *byte == b'#').count();
    let open = prefix.len() + hashes;
    let body = rest[open..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&end).map_or(rest.len(), |at| open + 1 + at + end.len()))
}

/// Returns where `quote` closes a literal, backslash escapes skipped.
fn closing(body: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    body.char_indices().find_map(|(at, c)| {
        let closes = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })
}

/// Finds `word` in `code` where it is no part of a longer name, with its line number.
pub fn lines_with<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).filter_map(move |(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(is_name);
        let after =
            word.ends_with(is_name) && code[at + word.len()..].chars().next().is_some_and(is_name);
        let inside = (before && word.starts_with(is_name)) || after;
        (!inside).then(|| code[..at].matches('\n').count() + 1)
    })
}

#[test]
fn only_code_is_left_of_a_file() {
    let text =
        "let a = \"x // y\"; // unsafe\nlet b = r#\"un\"safe\"#; let c: &'a str = '\\''; /* d */ e";
    assert_eq!(
        code_of(text).split_whitespace().collect::<Vec<_>>(),
        ["let", "a", "=", ";", "let", "b", "=", ";", "let", "c:", "&'a", "str", "=", ";", "e"]
    );
}
