//! A guest that does, row by row, what its inputs tell it to.

use serde_json::Value;

use crate::view::{field, row_view};
use crate::{Guest, escaped};

/// What a row of [`unruly`] does. The number stands in the input `act`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum Act {
    /// Answers `n`.
    Value = 0,
    /// Goes round a loop `n` times and answers `n`.
    Burn = 1,
    /// Grows memory to `n` bytes in all, if it is smaller, and answers `n`.
    Grow = 2,
    /// Never ends.
    Loop = 3,
    /// Takes memory until it is refused, and then answers -1.
    Bomb = 4,
    /// Calls itself without end.
    Recurse = 5,
    /// Sends `the guest is out of sorts` and traps.
    Panic = 6,
    /// Traps.
    Trap = 7,
    /// Rejects the row with code `n` and the message `refused`.
    Reject = 8,
    /// Fails the whole call with the message `not today`.
    Fail = 9,
    /// Answers one row too many.
    ExtraRow = 10,
    /// Answers one word too many.
    ExtraWord = 11,
    /// Answers one word too few.
    MissingWord = 12,
    /// Answers words that lie beyond the memory.
    Astray = 13,
    /// Answers how many rows the instance has seen.
    Count = 14,
    /// Logs `hello` `n` times and answers `n`.
    Log = 15,
    /// Divides by zero.
    Divide = 16,
    /// Answers `n`, and rejects the row twice.
    RejectTwice = 17,
    /// Rejects the row after the last one.
    RejectBeyond = 18,
    /// Grows a table without end.
    Table = 19,
}

/// A row view with the required int64 inputs `key`, `act` and `n` and the required int64 output `y`. `change`
/// may alter its description, for limits above all.
pub fn unruly(name: &str, change: impl FnOnce(&mut Value)) -> Guest {
    let inputs = [field("key", "int64"), field("act", "int64"), field("n", "int64")];
    let mut description = row_view(name, &inputs, &[field("y", "int64")]);
    change(&mut description);
    let items = ITEMS
        .replace("PANIC_TEXT", &escaped(b"the guest is out of sorts"))
        .replace("REFUSED_TEXT", &escaped(b"refused"))
        .replace("FAIL_TEXT", &escaped(b"not today"))
        .replace("HELLO_TEXT", &escaped(b"hello"));
    Guest::new(description).items(&items).apply(APPLY)
}

const ITEMS: &str = r#"
  (data (i32.const 1024) "PANIC_TEXT")
  (data (i32.const 1056) "REFUSED_TEXT")
  (data (i32.const 1072) "FAIL_TEXT")
  (data (i32.const 1088) "HELLO_TEXT")
  (table $grown 1 funcref)
  (global $seen (mut i64) (i64.const 0))
  (global $extra_rows (mut i32) (i32.const 0))
  (global $extra_words (mut i32) (i32.const 0))
  (global $failed (mut i32) (i32.const 0))
  (global $rejections (mut i32) (i32.const 0))
  (global $rejected (mut i32) (i32.const 0))
  (func $reject (param $row i32) (param $code i32) (local $at i32)
    (local.set $at (i32.add (global.get $rejections) (i32.shl (global.get $rejected) (i32.const 4))))
    (i32.store (local.get $at) (local.get $row))
    (i32.store16 offset=4 (local.get $at) (local.get $code))
    (i32.store offset=8 (local.get $at) (i32.const 1056))
    (i32.store offset=12 (local.get $at) (i32.const 7))
    (global.set $rejected (i32.add (global.get $rejected) (i32.const 1))))
  (func $burn (param $n i64)
    (block $done (loop $again
      (br_if $done (i64.le_s (local.get $n) (i64.const 0)))
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (br $again))))
  (func $grow (param $bytes i64) (local $pages i32)
    (local.set $pages (i32.sub (i32.wrap_i64 (i64.shr_u (local.get $bytes) (i64.const 16))) (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0)) (then (drop (memory.grow (local.get $pages))))))
  (func $recurse (param $n i64) (result i64)
    (i64.add (i64.const 1) (call $recurse (i64.add (local.get $n) (i64.const 1)))))
  (func $hello (param $n i64)
    (block $done (loop $again
      (br_if $done (i64.le_s (local.get $n) (i64.const 0)))
      (call $log (i32.const 1) (i32.const 1088) (i32.const 5))
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (br $again))))
  (func $row (param $row i32) (param $act i32) (param $n i64) (result i64)
    (global.set $seen (i64.add (global.get $seen) (i64.const 1)))
    (block $table (block $beyond (block $twice (block $divide (block $hello (block $count (block $astray
    (block $short (block $long (block $extra (block $fail (block $reject (block $trap (block $panic
    (block $recurse (block $bomb (block $loop (block $grow (block $burn (block $value
      (br_table $value $burn $grow $loop $bomb $recurse $panic $trap $reject $fail $extra $long $short $astray
        $count $hello $divide $twice $beyond $table (local.get $act)))
      (return (local.get $n)))
      (call $burn (local.get $n)) (return (local.get $n)))
      (call $grow (local.get $n)) (return (local.get $n)))
      (loop $forever (br $forever)))
      (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (return (i64.const -1)))
      (return (call $recurse (local.get $n))))
      (call $panic (i32.const 1024) (i32.const 25)) (unreachable))
      (unreachable))
      (call $reject (local.get $row) (i32.wrap_i64 (local.get $n))) (return (i64.const 0)))
      (global.set $failed (i32.const 1)) (return (i64.const 0)))
      (global.set $extra_rows (i32.const 1)) (return (i64.const 0)))
      (global.set $extra_words (i32.const 1)) (return (i64.const 0)))
      (global.set $extra_words (i32.const -1)) (return (i64.const 0)))
      (global.set $extra_words (i32.const 100000000)) (return (i64.const 0)))
      (return (global.get $seen)))
      (call $hello (local.get $n)) (return (local.get $n)))
      (return (i64.div_s (i64.const 1) (i64.const 0))))
      (call $reject (local.get $row) (i32.const 1)) (call $reject (local.get $row) (i32.const 1))
      (return (local.get $n)))
      (call $reject (i32.add (local.get $row) (i32.const 1000000)) (i32.const 1)) (return (i64.const 0)))
    (loop $more (br_if $more (i32.ne (table.grow $grown (ref.null func) (i32.const 1000)) (i32.const -1))))
    (i64.const -1))
"#;

const APPLY: &str = r"
    (local $out i32) (local $row i32) (local $column i32)
    (global.set $extra_rows (i32.const 0))
    (global.set $extra_words (i32.const 0))
    (global.set $failed (i32.const 0))
    (global.set $rejected (i32.const 0))
    (global.set $rejections (call $alloc (i32.shl (local.get $rows) (i32.const 5))))
    (local.set $out (call $alloc (i32.shl (i32.add (local.get $rows) (i32.const 1)) (i32.const 3))))
    (local.set $column (i32.shl (local.get $rows) (i32.const 3)))
    (loop $next
      (i64.store (i32.add (local.get $out) (i32.shl (local.get $row) (i32.const 3)))
        (call $row (local.get $row)
          (i32.wrap_i64 (i64.load (i32.add (i32.add (local.get $words) (local.get $column))
            (i32.shl (local.get $row) (i32.const 3)))))
          (i64.load (i32.add (i32.add (local.get $words) (i32.shl (local.get $column) (i32.const 1)))
            (i32.shl (local.get $row) (i32.const 3))))))
      (local.set $row (i32.add (local.get $row) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $row) (local.get $rows))))
    (if (global.get $failed) (then (return (call $fail (i32.const 1072) (i32.const 9)))))
    (call $answer
      (i32.add (local.get $rows) (global.get $extra_rows))
      (local.get $out)
      (i32.add (local.get $rows) (global.get $extra_words))
      (global.get $rejections)
      (global.get $rejected))";
