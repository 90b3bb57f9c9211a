//! Conversion of lists.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, UInt64Array, make_array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field};
use arrow_select::take::take;
use trifold_model::ItemType;

use super::columns::{convert, item_type};
use super::text::check_length;
use super::{Bad, Converted, Unconvertible};

pub(super) fn to_list(array: &ArrayRef, item: ItemType) -> Result<Converted, Unconvertible> {
    let (mut ranges, items) = ranges(array)?;
    let items = gathered(&items, &mut ranges)?;
    let null_items = items.logical_nulls();
    let Converted { array: items, bad } = convert(&items, item_type(item))?;
    let problems = row_problems(&ranges, &bad, null_items.as_ref());
    for (row, _) in problems.iter() {
        ranges[*row] = 0..0;
    }
    let items = without_nulls(gathered(&items, &mut ranges)?)?;
    let valid: NullBuffer =
        (0..array.len()).map(|row| array.is_valid(row) && !problems.contains_key(&row)).collect();
    let nulls = (valid.null_count() > 0).then_some(valid);
    let field = Arc::new(Field::new("item", item.to_arrow(), false));
    let offsets = OffsetBuffer::from_lengths(ranges.iter().map(Range::len));
    let bad = problems.into_iter().map(|(row, problem)| Bad { row, problem }).collect();
    Ok(Converted { array: Arc::new(ListArray::try_new(field, offsets, items, nulls)?), bad })
}

/// Which items each row has; a null has none.
fn ranges(array: &ArrayRef) -> Result<(Vec<Range<usize>>, ArrayRef), Unconvertible> {
    let of = |bounds: &dyn Fn(usize) -> Range<usize>| {
        (0..array.len()).map(|row| if array.is_valid(row) { bounds(row) } else { 0..0 }).collect()
    };
    Ok(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            (of(&|row| offsets[row] as usize..offsets[row + 1] as usize), list.values().clone())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets();
            (of(&|row| offsets[row] as usize..offsets[row + 1] as usize), list.values().clone())
        }
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            let size = list.value_length() as usize;
            (of(&|row| row * size..(row + 1) * size), list.values().clone())
        }
        _ => return Err(Unconvertible::Type),
    })
}

/// The items of the ranges, one range after the other, and the ranges as they stand then. A cut of the buffers
/// where nothing lies between the ranges.
fn gathered(items: &ArrayRef, ranges: &mut [Range<usize>]) -> Result<ArrayRef, Unconvertible> {
    check_length(ranges.iter().map(Range::len))?;
    let total = ranges.iter().map(Range::len).sum();
    let mut filled = ranges.iter().filter(|range| !range.is_empty());
    let first = filled.next().map_or(0, |range| range.start);
    let mut next = first;
    let contiguous = ranges.iter().filter(|range| !range.is_empty()).all(|range| {
        let follows = range.start == next;
        next = range.end;
        follows
    });
    let gathered = if contiguous {
        items.slice(first, total)
    } else {
        let rows: UInt64Array = ranges.iter().flat_map(|range| range.clone()).map(|row| row as u64).collect();
        take(items, &rows, None)?
    };
    let mut start = 0;
    for range in ranges {
        *range = start..start + range.len();
        start = range.end;
    }
    Ok(gathered)
}

/// The first problem of each row that has one.
fn row_problems(ranges: &[Range<usize>], bad: &[Bad], null_items: Option<&NullBuffer>) -> BTreeMap<usize, String> {
    let mut problems = BTreeMap::new();
    // Ranges are in order, and an empty one ends where the next begins.
    let row_of = |item: usize| ranges.partition_point(|range| range.end <= item);
    for Bad { row: item, problem } in bad {
        let row = row_of(*item);
        problems.entry(row).or_insert_with(|| format!("item {}: {problem}", item - ranges[row].start));
    }
    let nulls = null_items.filter(|nulls| nulls.null_count() > 0);
    for item in nulls.into_iter().flat_map(|nulls| (0..nulls.len()).filter(|item| nulls.is_null(*item))) {
        let row = row_of(item);
        problems.entry(row).or_insert_with(|| format!("item {} is null", item - ranges[row].start));
    }
    problems
}

/// The same items without their validity: none of them is null.
fn without_nulls(items: ArrayRef) -> Result<ArrayRef, Unconvertible> {
    if items.nulls().is_none() {
        return Ok(items);
    }
    Ok(make_array(items.to_data().into_builder().nulls(None).build()?))
}
