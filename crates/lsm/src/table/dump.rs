//! A table's file as text, for people who want to see the bytes.

use std::path::Path;

use env::fs::{Fs, OpenMode};

use super::block::Block;
use super::file::{self, Footer, damaged};
use super::{Origin, TableMeta, read_index};
use crate::Result;
use crate::dump::value_shown;

/// Calls `line` with one line for each part and entry of the table in a file. Every part is checked
/// as it is read. The number of the table is part of every checksum.
pub(crate) fn dump_table(
    fs: &dyn Fs,
    path: &Path,
    table: u64,
    mut line: impl FnMut(String),
) -> Result<()> {
    let file = fs.open(path, OpenMode::READ)?;
    let footer = Footer::read(&*file, table, file.size()?)?;
    for (what, part) in
        [("filter", footer.filter), ("index", footer.index), ("properties", footer.properties)]
    {
        line(format!("{what:<12} at {}, {} bytes", part.offset, part.len));
    }
    let bytes = file::read(&*file, table, footer.properties, "properties")?;
    let known = TableMeta::decode_properties(&bytes);
    let (meta, origin) =
        known.ok_or_else(|| damaged(&*file, footer.properties.offset, "properties"))?;
    line(format!(
        "table {}: {} entries, {} garbage, newest change {}, keys \"{}\" to \"{}\"",
        meta.number,
        meta.entries,
        meta.garbage,
        meta.newest,
        meta.smallest.escape_ascii(),
        meta.largest.escape_ascii(),
    ));
    if let Some(origin) = origin {
        let Origin { family, name, level, replaces, .. } = origin;
        line(format!("family {family} `{name}`, level {level}, made from tables {replaces:?}"));
    }
    let bytes = file::read(&*file, table, footer.index, "index")?;
    let index = read_index(&bytes, footer.filter.offset);
    let index = index.ok_or_else(|| damaged(&*file, footer.index.offset, "index"))?;
    for at in 0..index.len() {
        let extent = index.extent(at);
        let bytes = file::read(&*file, table, extent, "block")?;
        let block = Block::parse(bytes).map_err(|what| damaged(&*file, extent.offset, what))?;
        let shape =
            format!("at {}, {} bytes, {} entries", extent.offset, extent.len, block.count());
        line(format!("block {at:<6} {shape}, prefix \"{}\"", block.prefix().escape_ascii()));
        for entry in 0..block.count() {
            line(format!(
                "  \"{}{}\" {:?} = {}",
                block.prefix().escape_ascii(),
                block.suffix(entry).escape_ascii(),
                block.stamp(entry),
                value_shown(block.value(entry)),
            ));
        }
    }
    Ok(())
}
