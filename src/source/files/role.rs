//! What a file is to a stream, by its content: the rest of a generation, a copy, or something new.
//!
//! Content is compared at the offsets that were read to, by the anchors there, and with what is
//! still open. Nothing here changes a stream.

use std::fs::File;

use super::compressed::{GzipEnd, GzipMatch, GzipReader, find_prefix};
use super::discover::{Family, Found};
use super::follow::Round;
use super::generation::{Body, Generation};
use super::identity::{HEAD_BYTES, Window, outlives_the_file, same_file};
use super::names::Age;
use super::open::open_log;
use super::stream::Stream;
use crate::engine::state::GenerationRecord;
use crate::engine::usage::Anchor;

/// Where a generation is kept whose bytes are no longer in the file it had.
#[derive(Clone, Copy, Debug)]
pub enum Home {
    /// Among the generations that are read.
    Open(usize),
    /// Among the finished ones.
    Finished(usize),
}

/// The bytes that were read of a generation whose file is gone or has other content.
struct Prefix {
    home: Home,
    offset: u64,
    anchor: Anchor,
    /// Whether the file was truncated: a gap is recorded already.
    truncated: bool,
}

/// What a file is to the stream.
pub enum Role {
    /// The new file of a generation.
    Continues {
        home: Home,
        /// Whether there are bytes after the ones that were read, or may be.
        more: bool,
    },
    /// A copy of bytes that are, or were, read from the live file.
    Copy,
    /// Not seen before.
    New,
    /// Cannot be told yet.
    Unclear,
}

impl Stream {
    /// Compares the content of `file` with what was read. `skip`: the finished generation that it
    /// is, if it is one.
    pub fn role(
        &self,
        file: &Found,
        skip: Option<usize>,
        family: &Family,
        round: &Round<'_>,
    ) -> std::io::Result<Role> {
        // A file that is gone but still open may be the one that was compressed or copied here.
        let undrained = |generation: &Generation| {
            generation.age.is_none() && generation.body.is_some() && !generation.reached_end
        };
        if self.generations.iter().any(undrained) {
            return Ok(Role::Unclear);
        }
        let prefixes = self.prefixes(skip, family);
        let (log, facts) = open_log(&file.target, file.facts.id)?;
        if file.gzip {
            let recent = round.now.minus(round.limits.rotation_grace)..=round.now;
            let young = recent.contains(&facts.modified_at);
            gzip_role(&log, &prefixes, young, || self.is_held(&log))
        } else {
            plain_role(&log, facts.size, &prefixes, family)
        }
    }

    /// Tells whether the content of a packed file is the start of a file that is still open: a
    /// writer may go on in a file that was packed, and is gone by its name.
    fn is_held(&self, packed: &File) -> std::io::Result<bool> {
        let mut reader = GzipReader::rewound(packed)?;
        let mut content = Window::default();
        reader.skip(HEAD_BYTES as u64, HEAD_BYTES, &mut content);
        let bodies = self.generations.iter().filter_map(|generation| generation.body.as_ref());
        let mut alike = Vec::new();
        for body in bodies {
            if let Body::Plain(plain) = body
                && content.stands_in(&plain.file)?
            {
                alike.push(&plain.file);
            }
        }
        if alike.is_empty() {
            return Ok(false);
        }
        let mut reader = GzipReader::rewound(packed)?;
        // Longer than the longest of them, it is the start of none.
        let mut longest = 0;
        for file in &alike {
            longest = longest.max(file.metadata()?.len());
        }
        let content = reader.whole(longest + 1);
        if reader.end() != Some(&GzipEnd::Whole) {
            return Ok(false);
        }
        for file in alike {
            if content.stands_in(file)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lists the generations whose bytes are no longer in the file they had.
    fn prefixes(&self, skip: Option<usize>, family: &Family) -> Vec<Prefix> {
        let open = self.generations.iter().enumerate().filter(|(_, open)| open.age.is_none());
        let open = open.map(|(index, open)| (Home::Open(index), &open.record, false));
        let finished = self.finished.iter().enumerate().filter(|(index, _)| Some(*index) != skip);
        let finished = finished.filter_map(|(index, record)| {
            let truncated = self.is_superseded(record);
            let exists = family.files.iter().any(|file| is_still(file, record));
            (truncated || !exists).then_some((Home::Finished(index), record, truncated))
        });
        open.chain(finished)
            .filter(|(_, record, _)| record.offset > 0)
            .map(|(home, record, truncated)| Prefix {
                home,
                offset: record.offset,
                anchor: record.anchor,
                truncated,
            })
            .collect()
    }

    /// Tells whether a later generation has the file of `record`.
    fn is_superseded(&self, record: &GenerationRecord) -> bool {
        let open = self.generations.iter().map(|generation| &generation.record);
        open.chain(&self.finished)
            .any(|other| other.number > record.number && same_file(other.file, record.file))
    }
}

/// Tells whether `file` is that of `record`: where an inode number alone says so, its name must, too.
fn is_still(file: &Found, record: &GenerationRecord) -> bool {
    let named = || file.path.to_str() == Some(&*record.path);
    same_file(file.facts.id, record.file) && (outlives_the_file(record.file) || named())
}

fn plain_role(
    log: &File,
    size: u64,
    prefixes: &[Prefix],
    family: &Family,
) -> std::io::Result<Role> {
    let mut best: Option<&Prefix> = None;
    for prefix in prefixes.iter().filter(|prefix| prefix.offset <= size) {
        let window = Window::of_file(log, prefix.offset)?;
        if window.is_some_and(|window| window.anchor() == prefix.anchor)
            && best.is_none_or(|best| best.offset < prefix.offset)
        {
            best = Some(prefix);
        }
    }
    if let Some(prefix) = best {
        return Ok(Role::Continues { home: prefix.home, more: size > prefix.offset });
    }
    let Some(content) = Window::of_file(log, size)? else { return Ok(Role::Unclear) };
    if let Some(live) = family.files.last().filter(|file| file.age == Age::Live)
        && live.facts.size >= size
        && live.unreadable.is_none()
        && content.stands_in(&open_log(&live.target, live.facts.id)?.0)?
    {
        return Ok(Role::Copy);
    }
    // The live file was truncated since: what was lost with it is a gap, whatever this is.
    let cut = prefixes.iter().any(|prefix| {
        prefix.truncated && prefix.offset > size && content.has_head_of(&prefix.anchor)
    });
    Ok(if cut { Role::Copy } else { Role::New })
}

fn gzip_role(
    log: &File,
    prefixes: &[Prefix],
    young: bool,
    is_held: impl Fn() -> std::io::Result<bool>,
) -> std::io::Result<Role> {
    let sought: Vec<_> = prefixes.iter().map(|prefix| (prefix.offset, prefix.anchor)).collect();
    Ok(match find_prefix(log.try_clone()?, &sought)? {
        GzipMatch::Prefix { index, more } => Role::Continues { home: prefixes[index].home, more },
        GzipMatch::Shorter(index) if prefixes[index].truncated => Role::Copy,
        GzipMatch::Broken(_) if young => Role::Unclear,
        GzipMatch::Broken(Some(index)) => {
            Role::Continues { home: prefixes[index].home, more: true }
        }
        GzipMatch::Shorter(_) | GzipMatch::None if is_held()? => Role::Copy,
        GzipMatch::Shorter(_) | GzipMatch::Broken(None) | GzipMatch::None => Role::New,
    })
}
