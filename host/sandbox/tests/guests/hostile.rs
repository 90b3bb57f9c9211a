//! Rows that trap, never end, take memory, recurse or break the contract, each between two good rows.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use trifold_model::ErrorCode;
use trifold_sandbox::{Budget, Cause, RowFailure, Sandbox, SandboxConfig, Verdict};
use trifold_wat_guest::{Act, Guest, field, row_view, unruly};

use crate::rig::{Fate, admit, fates, fates_in_batches, rows, sandbox};

/// The verdict and the message of a row between two good ones, which keep their values.
#[track_caller]
fn check(act: Act, n: i64, expected: Fate, message: &[&str]) {
    let transform = admit(&unruly("unruly", |_| {}));
    let inputs = rows(&transform, &[(Act::Value, 7), (act, n), (Act::Value, 9)]);
    let applied = transform.apply(&inputs, &mut Budget::unlimited());
    assert_eq!(fates(&applied), [Fate::Value(7), expected, Fate::Value(9)], "{act:?}: {:?}", applied.failures);
    for part in message {
        let text = applied.failures[0].to_string();
        assert!(text.contains(part), "{act:?}: `{part}` is not in: {text}");
    }
    for size in [1, 2] {
        let fates = fates_in_batches(&transform, &inputs, size);
        assert_eq!(fates, [Fate::Value(7), expected, Fate::Value(9)], "{act:?} in batches of {size}");
    }
}

#[test]
fn a_panic_is_a_trap_whose_message_is_told() {
    let parts = ["row 1: view unruly", "the guest panicked: the guest is out of sorts"];
    check(Act::Panic, 0, Fate::Error(ErrorCode::TRAP), &parts);
}

#[test]
fn a_trap_names_its_kind() {
    check(Act::Trap, 0, Fate::Error(ErrorCode::TRAP), &["the guest trapped", "unreachable"]);
    check(Act::Divide, 0, Fate::Error(ErrorCode::TRAP), &["integer divide by zero"]);
}

#[test]
fn an_endless_loop_reaches_the_fuel_limit() {
    let parts = ["view unruly: fuel limit of 20000000 units reached"];
    check(Act::Loop, 0, Fate::Error(ErrorCode::FUEL), &parts);
}

#[test]
fn a_memory_bomb_reaches_the_memory_limit_and_never_sees_minus_one() {
    let parts = ["view unruly: memory limit of 67108864 bytes reached: the guest asked for "];
    check(Act::Bomb, 0, Fate::Error(ErrorCode::MEMORY), &parts);
    check(Act::Table, 0, Fate::Error(ErrorCode::MEMORY), &["view unruly: table limit of 20000 elements reached"]);
}

#[test]
fn deep_recursion_is_unavailable() {
    check(
        Act::Recurse,
        0,
        Fate::Unavailable(Cause::NativeStack),
        &["native stack limit of 1048576 bytes reached"],
    );
}

#[test]
fn refusals_carry_the_guests_code_and_message() {
    check(Act::Reject, 1, Fate::Error(ErrorCode(1)), &["refused"]);
    check(Act::Reject, 65279, Fate::Error(ErrorCode(65279)), &["refused"]);
    check(Act::Fail, 0, Fate::Error(ErrorCode::FAILURE), &["the guest failed: not today"]);
}

#[test]
fn broken_answers_are_named() {
    check(Act::Reject, 0, Fate::Error(ErrorCode::ANSWER), &["code 0", "1 to 65279"]);
    check(Act::Reject, 65280, Fate::Error(ErrorCode::ANSWER), &["code 65280"]);
    check(Act::RejectTwice, 0, Fate::Error(ErrorCode::ANSWER), &["rejection 1 names row 0 after row 0"]);
    check(Act::RejectBeyond, 0, Fate::Error(ErrorCode::ANSWER), &["names row 1000000 of 1"]);
    check(Act::ExtraRow, 0, Fate::Error(ErrorCode::ANSWER), &["2 rows for 1 rows"]);
    check(Act::ExtraWord, 0, Fate::Error(ErrorCode::ANSWER), &["goes on for 1 words"]);
    check(
        Act::MissingWord,
        0,
        Fate::Error(ErrorCode::ANSWER),
        &["ends inside output y", "need 8 bytes, 0 are left"],
    );
    check(Act::Astray, 0, Fate::Error(ErrorCode::ANSWER), &["out of bounds"]);
}

#[test]
fn many_bad_rows_among_many_good_ones_disturb_nobody() {
    let transform = admit(&unruly("crowd", |d| d["limits"] = serde_json::json!({"fuel": 200_000})));
    let bad = [
        (Act::Loop, Fate::Error(ErrorCode::FUEL)),
        (Act::Panic, Fate::Error(ErrorCode::TRAP)),
        (Act::Recurse, Fate::Unavailable(Cause::NativeStack)),
        (Act::Bomb, Fate::Error(ErrorCode::MEMORY)),
        (Act::Fail, Fate::Error(ErrorCode::FAILURE)),
        (Act::ExtraWord, Fate::Error(ErrorCode::ANSWER)),
    ];
    let acts: Vec<_> = (0..10_000)
        .map(|row| match row % 317 {
            0 => (bad[row / 317 % bad.len()].0, 0),
            _ => (Act::Value, row as i64),
        })
        .collect();
    let fates = fates(&transform.apply(&rows(&transform, &acts), &mut Budget::unlimited()));
    for (row, fate) in fates.into_iter().enumerate() {
        let expected = match row % 317 {
            0 => bad[row / 317 % bad.len()].1,
            _ => Fate::Value(row as i64),
        };
        assert_eq!(fate, expected, "row {row}");
    }
}

#[test]
fn no_rows_in_is_no_rows_out() {
    let transform = admit(&unruly("nobody", |_| {}));
    let applied = transform.apply(&rows(&transform, &[]), &mut Budget::unlimited());
    assert_eq!((applied.outputs.num_rows(), applied.failures.len()), (0, 0));
    assert_eq!(applied.outputs.num_columns(), 1);
}

#[test]
fn a_fresh_instance_forgets_and_a_warm_one_remembers() {
    let transform = admit(&unruly("counter", |_| {}));
    let one = rows(&transform, &[(Act::Count, 0)]);
    let fresh = || fates(&transform.apply(&one, &mut Budget::unlimited()));
    assert_eq!((fresh(), fresh()), (vec![Fate::Value(1)], vec![Fate::Value(1)]));
    let mut warm = transform.warm().unwrap();
    assert_eq!(fates(&warm.apply(&one)), [Fate::Value(1)]);
    assert_eq!(fates(&warm.apply(&one)), [Fate::Value(2)]);
    // A trap ends the instance; the next call has another.
    let trap = rows(&transform, &[(Act::Trap, 0)]);
    assert_eq!(fates(&warm.apply(&trap)), [Fate::Error(ErrorCode::TRAP)]);
    assert_eq!(fates(&warm.apply(&one)), [Fate::Value(1)]);
}

#[test]
fn warm_instances_are_few() {
    let transform = admit(&unruly("warm", |_| {}));
    let own = Sandbox::new(SandboxConfig { instances_max: 1, ..SandboxConfig::default() }).unwrap();
    let transform = own.admit(&unruly(transform.view().name.as_str(), |_| {}).build().unwrap()).unwrap();
    let held: Vec<_> = std::iter::from_fn(|| transform.warm().ok()).take(100).collect();
    assert!((1..100).contains(&held.len()), "{} warm instances", held.len());
    let error = transform.warm().map(drop).unwrap_err().to_string();
    assert!(error.contains("view warm: too many instances are kept warm"), "{error}");
    // Calls have their own instances.
    let one = rows(&transform, &[(Act::Value, 3)]);
    assert_eq!(fates(&transform.apply(&one, &mut Budget::unlimited())), [Fate::Value(3)]);
    drop(held);
    assert!(transform.warm().is_ok());
}

#[test]
fn more_callers_than_instances_wait() {
    let sandbox = Sandbox::new(SandboxConfig { instances_max: 2, ..SandboxConfig::default() }).unwrap();
    let transform = sandbox.admit(&unruly("queue", |_| {}).build().unwrap()).unwrap();
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let transform = transform.clone();
            std::thread::spawn(move || {
                let inputs = rows(&transform, &[(Act::Burn, 10_000), (Act::Value, caller)]);
                (0..50).all(|_| {
                    fates(&transform.apply(&inputs, &mut Budget::unlimited()))
                        == [Fate::Value(10_000), Fate::Value(caller)]
                })
            })
        })
        .collect();
    for caller in callers {
        assert!(caller.join().unwrap());
    }
}

#[test]
fn a_budget_makes_rows_unavailable_and_counts_repeated_calls() {
    let transform = admit(&unruly("frugal", |_| {}));
    let inputs = rows(&transform, &[(Act::Loop, 0), (Act::Value, 1)]);
    let mut unlimited = Budget::unlimited();
    assert_eq!(fates(&transform.apply(&inputs, &mut unlimited)), [Fate::Error(ErrorCode::FUEL), Fate::Value(1)]);
    // Half the limit for both rows together, and the whole of it for the first alone.
    assert!((30_000_000..30_100_000).contains(&unlimited.spent()), "{}", unlimited.spent());

    let mut budget = Budget::fuel(25_000_000);
    let applied = transform.apply(&inputs, &mut budget);
    assert_eq!(fates(&applied), [Fate::Unavailable(Cause::Budget); 2]);
    assert_eq!(budget.spent(), 25_000_000);
    let message = &applied.failures[0].message;
    assert!(message.contains("view frugal: the request's budget of 25000000 units"), "{message}");

    let mut plenty = Budget::fuel(1_000_000);
    let inputs = rows(&transform, &[(Act::Value, 1)]);
    assert_eq!(fates(&transform.apply(&inputs, &mut plenty)), [Fate::Value(1)]);
    assert!((1..10_000).contains(&plenty.spent()), "{}", plenty.spent());
}

#[test]
fn inputs_of_another_view_are_refused() {
    let transform = admit(&unruly("picky", |_| {}));
    let inputs = rows(&transform, &[(Act::Value, 1)]).project(&[0, 1]).unwrap();
    let applied = transform.apply(&inputs, &mut Budget::unlimited());
    assert_eq!(applied.failures[0].verdict, Verdict::Unavailable(Cause::Inputs));
    assert!(applied.failures[0].message.contains("2 columns, the view reads 3"), "{:?}", applied.failures);
}

#[test]
fn a_guests_log_is_bounded_and_names_the_view() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).finish();
    let transform = admit(&unruly("talkative", |_| {}));
    let inputs = rows(&transform, &[(Act::Log, 1000), (Act::Log, 2)]);
    let applied =
        tracing::subscriber::with_default(subscriber, || transform.apply(&inputs, &mut Budget::unlimited()));
    assert_eq!(fates(&applied), [Fate::Value(1000), Fate::Value(2)]);
    let text = lines.text();
    assert_eq!(text.matches("hello").count(), 16, "{text}");
    assert_eq!(text.matches("log limit of 16 lines or 16384 bytes of one call reached").count(), 1, "{text}");
    assert!(text.contains("INFO") && text.contains("view=\"talkative\""), "{text}");
}

/// The failure of the one row of a guest with this body of `apply`.
#[track_caller]
fn failure_of(body: &str) -> RowFailure {
    let view = row_view("rude", &[field("key", "int64")], &[field("y", "int64")]);
    let transform = admit(&Guest::new(view).apply(body));
    let column = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let inputs = RecordBatch::try_new(transform.view().input_schema().clone(), vec![column]).unwrap();
    let applied = transform.apply(&inputs, &mut Budget::unlimited());
    assert_eq!(applied.failures.len(), 1, "{applied:?}");
    applied.failures[0].clone()
}

#[test]
fn messages_are_shortened() {
    let rejection = "(memory.fill (i32.const 60000) (i32.const 97) (i32.const 5000))
        (i32.store (i32.const 512) (i32.const 0)) (i32.store16 (i32.const 516) (i32.const 7))
        (i32.store (i32.const 520) (i32.const 60000)) (i32.store (i32.const 524) (i32.const 5000))
        (call $answer (local.get $rows) (local.get $words) (local.get $count) (i32.const 512) (i32.const 1))";
    let failure = failure_of(rejection);
    assert_eq!((failure.verdict, failure.message), (Verdict::Error(ErrorCode(7)), "a".repeat(1024)));
    let panic = "(memory.fill (i32.const 60000) (i32.const 97) (i32.const 5000))
        (call $panic (i32.const 60000) (i32.const 5000)) (unreachable)";
    let message = failure_of(panic).message;
    assert_eq!(message, format!("view rude: the guest panicked: {}", "a".repeat(4096)));
}

#[test]
fn what_is_said_to_the_host_is_never_trusted() {
    let scribble = "(i32.store8 (i32.const 512) (i32.const 255))";
    let panic = format!("{scribble} (call $panic (i32.const 512) (i32.const 1)) (unreachable)");
    let failure = failure_of(&panic);
    assert_eq!(failure.verdict, Verdict::Error(ErrorCode::TRAP));
    assert!(failure.message.ends_with("(a message that is not UTF-8)"), "{}", failure.message);
    // A log line that is no text is dropped; the trap is the next instruction's.
    let log = format!("{scribble} (call $log (i32.const 0) (i32.const 512) (i32.const 1)) (unreachable)");
    assert_eq!(failure_of(&log).verdict, Verdict::Error(ErrorCode::TRAP));
    for body in [
        "(call $log (i32.const 0) (i32.const -1) (i32.const 100)) (unreachable)",
        "(call $log (i32.const 9) (i32.const 512) (i32.const 1)) (unreachable)",
        "(i32.const -4)",
        "(i32.const 33)",
        "(call $fail (i32.const -1) (i32.const 100))",
    ] {
        assert_eq!(failure_of(body).verdict, Verdict::Error(ErrorCode::ANSWER), "{body}");
    }
}

#[test]
fn what_a_guest_says_again_and_again_is_bounded() {
    // A thousand rejections that name the same forty megabytes.
    let body = "(local $at i32)
        (drop (memory.grow (i32.const 700)))
        (loop $next
          (i32.store (i32.add (local.get $at) (i32.const 60000)) (i32.shr_u (local.get $at) (i32.const 4)))
          (i32.store16 (i32.add (local.get $at) (i32.const 60004)) (i32.const 1))
          (i32.store (i32.add (local.get $at) (i32.const 60008)) (i32.const 131072))
          (i32.store (i32.add (local.get $at) (i32.const 60012)) (i32.const 40000000))
          (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (i32.const 16000))))
        (call $answer (local.get $rows) (local.get $words) (local.get $count) (i32.const 60000) (i32.const 1000))";
    let failure = failure_of(body);
    assert_eq!(failure.verdict, Verdict::Error(ErrorCode::ANSWER));
    assert_eq!(failure.message, "view rude: output limit of 134217728 bytes reached");
}

#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Lines {
    type Writer = Lines;

    fn make_writer(&self) -> Lines {
        self.clone()
    }
}

#[test]
fn transforms_share_a_sandbox_without_touching_each_other() {
    let (left, right) = (admit(&unruly("left", |_| {})), admit(&unruly("right", |_| {})));
    assert_ne!(left.digest(), right.digest());
    let loops = rows(&left, &[(Act::Loop, 0)]);
    let busy = std::thread::spawn({
        let left = left.clone();
        move || fates(&left.apply(&loops, &mut Budget::unlimited()))
    });
    let inputs = rows(&right, &[(Act::Value, 5)]);
    assert_eq!(fates(&right.apply(&inputs, &mut Budget::unlimited())), [Fate::Value(5)]);
    assert_eq!(busy.join().unwrap(), [Fate::Error(ErrorCode::FUEL)]);
    assert!(sandbox().admit(&unruly("left", |_| {}).build().unwrap()).is_ok());
}
