//! What a file is to a stream, by its content: the rest of a generation, a copy, or something new.
//!
//! Content is compared at the offsets that were read to, by the anchors there, and with what is
//! still open. Nothing here changes a stream.

use std::fs::File;

use super::body::Body;
use super::discover::{Family, Found};
use super::follow::Round;
use super::generation::Generation;
use super::identity::{
    FileFacts, HEAD_BYTES, Window, holds, outlives_the_file, read_at, same_file,
};
use super::names::Age;
use super::open::open_log;
use super::packed::{Codec, PackedEnd, PackedReader, PrefixMatch, begins_like, find_prefix};
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
    /// A copy of the beginning of such bytes, or a new file that begins alike.
    Like,
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
        let (log, facts) = open_log(&file.target, file.facts.id)?;
        let codec = file.packed()?;
        let head = head_of(&log, codec)?;
        // A file that is gone but still open may be the one that was compressed or copied here.
        for generation in self.generations.iter().filter(|one| is_undrained(one)) {
            if begins_as(&head, generation)? {
                return Ok(Role::Unclear);
            }
        }
        let (prefixes, live) = (self.prefixes(skip, family), live_beside(file, family)?);
        if let Some(codec) = codec {
            let is_held = || self.is_held_packed((codec, &log), &head, skip, live.as_ref());
            packed_role((codec, &log), &prefixes, is_young(&facts, round), is_held)
        } else {
            let is_held = |content: &Window| self.is_held(content, skip, live.as_ref());
            let may_grow = file.age != Age::Live && is_young(&facts, round);
            plain_role(&log, facts.size, &prefixes, may_grow, is_held)
        }
    }

    /// Tells whether all of the content of a plain file is read, or was, as that of another one.
    fn is_held(
        &self,
        content: &Window,
        skip: Option<usize>,
        live: Option<&File>,
    ) -> std::io::Result<bool> {
        if self.finished_as(skip, content) {
            return Ok(true);
        }
        for file in self.alike(content, live)? {
            if content.stands_in(file)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells the same of the content of a packed file: a writer may go on in a file that was packed,
    /// and is gone by its name.
    fn is_held_packed(
        &self,
        (codec, packed): (Codec, &File),
        head: &Window,
        skip: Option<usize>,
        live: Option<&File>,
    ) -> std::io::Result<Held> {
        // Longer than the longest file that begins alike, it is a copy of none.
        let finished = self.others(skip).filter(|record| head.has_head_of(&record.anchor));
        let mut longest = finished.map(|record| record.offset).max();
        let mut alike = Vec::new();
        for file in self.alike(head, live)? {
            if head.stands_in(file)? {
                longest = longest.max(Some(file.metadata()?.len()));
                alike.push(file);
            }
        }
        let Some(longest) = longest else { return Ok(Held::Not) };
        let mut reader = PackedReader::rewound(codec, packed)?;
        let content = reader.whole(longest + 1)?;
        let found = match reader.end() {
            Some(PackedEnd::Whole) if self.finished_as(skip, &content) => return Ok(Held::Whole),
            Some(PackedEnd::Whole) => Held::Whole,
            Some(PackedEnd::Broken(_)) => Held::Part,
            None => return Ok(Held::Not),
        };
        for file in alike {
            if content.stands_in(file)? {
                return Ok(found);
            }
        }
        Ok(Held::Not)
    }

    /// Returns the plain files that are open, and the live one, that may begin like `content`.
    fn alike<'a>(
        &'a self,
        content: &Window,
        live: Option<&'a File>,
    ) -> std::io::Result<Vec<&'a File>> {
        let mut alike = Vec::new();
        for generation in &self.generations {
            if let Some(Body::Plain(plain)) = &generation.body
                && plain.may_begin_like(content)?
            {
                alike.push(&plain.file);
            }
        }
        alike.extend(live);
        Ok(alike)
    }

    fn others(&self, skip: Option<usize>) -> impl Iterator<Item = &GenerationRecord> {
        let others = self.finished.iter().enumerate();
        others.filter(move |(index, _)| Some(*index) != skip).map(|(_, record)| record)
    }

    /// Tells whether a finished generation, or a copy that was passed over, has all of `content`.
    fn finished_as(&self, skip: Option<usize>, content: &Window) -> bool {
        self.others(skip)
            .any(|record| record.offset == content.offset() && record.anchor == content.anchor())
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

/// Whether another file has the content of a packed one.
enum Held {
    /// All of it.
    Whole,
    /// What came out before it broke off.
    Part,
    /// No.
    Not,
}

/// Tells whether bytes may be left in the open file of a generation that has no name any more.
fn is_undrained(generation: &Generation) -> bool {
    generation.age.is_none() && generation.body.is_some() && !generation.at_end()
}

/// Returns the first bytes of the content of `log`.
pub fn head_of(log: &File, codec: Option<Codec>) -> std::io::Result<Window> {
    let mut head = Window::default();
    if let Some(codec) = codec {
        let mut reader = PackedReader::rewound(codec, log)?;
        reader.skip(HEAD_BYTES as u64, HEAD_BYTES, &mut head)?;
    } else {
        let mut bytes = Vec::new();
        read_at(log, &mut bytes, HEAD_BYTES, 0)?;
        head.advance(&bytes);
    }
    Ok(head)
}

/// Tells whether content that begins with `head` may be that of a generation, or a part of it.
fn begins_as(head: &Window, generation: &Generation) -> std::io::Result<bool> {
    match &generation.body {
        Some(Body::Plain(plain)) => Ok(head.agrees_with(&head_of(&plain.file, None)?)),
        // Nothing is compared with what is unpacked only now.
        Some(Body::Packed(_)) | None => Ok(true),
    }
}

/// Opens the live file of `family`, unless it is `file` itself or nobody may read it.
fn live_beside(file: &Found, family: &Family) -> std::io::Result<Option<File>> {
    let live = family.files.last().filter(|live| live.age == Age::Live);
    match live.filter(|live| live.unreadable.is_none() && live.facts.id != file.facts.id) {
        Some(live) => Ok(Some(open_log(&live.target, live.facts.id)?.0)),
        None => Ok(None),
    }
}

/// Tells whether a file was changed so lately that somebody may still write it.
pub fn is_young(facts: &FileFacts, round: &Round<'_>) -> bool {
    let recent = round.now.minus(round.limits.rotation_grace)..=round.now;
    recent.contains(&facts.modified_at)
}

/// Tells whether `file` is that of `record`: where an inode number alone says so, its name must, too.
fn is_still(file: &Found, record: &GenerationRecord) -> bool {
    let has_name = || file.path.to_str() == Some(&*record.path);
    same_file(file.facts.id, record.file) && (outlives_the_file(record.file) || has_name())
}

/// Returns where the plain content of a copy ends; `None` if it is still being written.
pub fn content_of(file: &Found, log: &File, round: &Round<'_>) -> std::io::Result<Option<Window>> {
    let Some(codec) = file.packed()? else { return Window::of_file(log, log.metadata()?.len()) };
    let mut reader = PackedReader::rewound(codec, log)?;
    let content = reader.whole(round.limits.max_unpacked)?;
    let half = matches!(reader.end(), Some(PackedEnd::Broken(_))) && is_young(&file.facts, round);
    Ok((!half).then_some(content))
}

/// Tells whether `file` is that of `record`, which is open as `body`. On a weak file system it may
/// have got another identity since, which the open file has, too.
pub fn is_open_in(file: &Found, record: &GenerationRecord, body: &Body) -> bool {
    if same_file(file.facts.id, record.file) {
        return true;
    }
    match body {
        Body::Plain(plain) if file.facts.weakness.is_some() => {
            let now = plain.facts.again(&plain.file);
            now.is_ok_and(|now| same_file(file.facts.id, now.id))
        }
        Body::Plain(_) | Body::Packed(_) => false,
    }
}

/// Tells whether `file` is that of `record`, which is not open. Where an inode number alone says so
/// its content must, too; what cannot be read now is told of when it is opened.
pub fn is_file_of(file: &Found, record: &GenerationRecord) -> bool {
    let is_same = || -> std::io::Result<bool> {
        let (log, _) = open_log(&file.target, file.facts.id)?;
        if let Some(codec) = file.packed()? {
            return begins_like(codec, &log, &record.anchor);
        }
        holds(&log, record.offset, &record.anchor)
    };
    let sure = outlives_the_file(record.file) || record.offset == 0;
    same_file(file.facts.id, record.file) && (sure || is_same().unwrap_or(true))
}

fn plain_role(
    log: &File,
    size: u64,
    prefixes: &[Prefix],
    may_grow: bool,
    is_held: impl Fn(&Window) -> std::io::Result<bool>,
) -> std::io::Result<Role> {
    let mut best: Option<&Prefix> = None;
    for prefix in prefixes.iter().filter(|prefix| prefix.offset <= size) {
        if holds(log, prefix.offset, &prefix.anchor)?
            && best.is_none_or(|best| best.offset < prefix.offset)
        {
            best = Some(prefix);
        }
    }
    if let Some(prefix) = best {
        return Ok(Role::Continues { home: prefix.home, more: size > prefix.offset });
    }
    let Some(content) = Window::of_file(log, size)? else { return Ok(Role::Unclear) };
    if is_held(&content)? {
        return Ok(Role::Copy);
    }
    let mut longer = prefixes
        .iter()
        .filter(|prefix| prefix.offset > size && content.has_head_of(&prefix.anchor))
        .peekable();
    Ok(if longer.peek().is_none() {
        Role::New
    } else if longer.any(|prefix| prefix.truncated) {
        Role::Like
    } else if may_grow {
        // Somebody may be putting a file back that was gone.
        Role::Unclear
    } else {
        Role::New
    })
}

fn packed_role(
    (codec, log): (Codec, &File),
    prefixes: &[Prefix],
    young: bool,
    is_held: impl Fn() -> std::io::Result<Held>,
) -> std::io::Result<Role> {
    let sought: Vec<_> = prefixes.iter().map(|prefix| (prefix.offset, prefix.anchor)).collect();
    Ok(match find_prefix(codec, log, &sought)? {
        PrefixMatch::Prefix { index, more } => Role::Continues { home: prefixes[index].home, more },
        PrefixMatch::Shorter(index) if prefixes[index].truncated => Role::Like,
        PrefixMatch::Broken(_) if young => Role::Unclear,
        PrefixMatch::Broken(Some(index)) => {
            Role::Continues { home: prefixes[index].home, more: true }
        }
        PrefixMatch::Shorter(_) | PrefixMatch::Broken(None) | PrefixMatch::None => {
            match is_held()? {
                Held::Part if young => Role::Unclear,
                Held::Whole => Role::Copy,
                Held::Part => Role::Like,
                Held::Not => Role::New,
            }
        }
    })
}
