//! Commits, reads, scans and clears.

use futures::FutureExt;
use trifold_model::{EntityKey, LogId, StateId};
use trifold_store::{
    Commit, EmbeddedStore, KEY_BYTES_MAX, OnlineStore, Page, RECORD_BYTES_MAX, RowSwitch, RowsUnder, Snapshot,
    StateStore, StoreError,
};

use crate::fixtures::{STATE, commit, key, keys, marker, open, place, record};

async fn all(store: &EmbeddedStore, state: StateId) -> Page {
    store.scan(state, None, usize::MAX).await.unwrap()
}

#[tokio::test]
async fn what_was_committed_is_read_again_after_reopening() {
    let (_dir, path) = place();
    let entities = keys(3);
    let store = open(&path);
    assert_eq!(store.read(STATE, &entities).await, Ok(Snapshot { records: vec![None; 3], ..Snapshot::default() }));
    assert_eq!(store.marker(STATE).await, Ok(None));
    store.commit(vec![commit(STATE, &entities, 4)]).await.unwrap();
    store.commit(vec![commit(STATE, &entities[1..2], 5)]).await.unwrap();
    drop(store);

    let store = open(&path);
    let asked = [entities[1].clone(), key("nobody"), entities[0].clone(), entities[1].clone(), key("")];
    let snapshot = store.read(STATE, &asked).await.unwrap();
    assert_eq!(snapshot.marker, Some(marker(6)));
    assert_eq!(snapshot.records, [Some(record(5)), None, Some(record(4)), Some(record(5)), None]);
    assert_eq!(store.marker(STATE).await, Ok(Some(marker(6))));
    assert_eq!(store.read(StateId([8; 16]), &entities).await.unwrap().marker, None);
}

#[tokio::test]
async fn who_computed_rows_is_kept_in_the_order_of_offsets_until_the_state_is_cleared() {
    let (_dir, path) = place();
    let (store, other) = (open(&path), StateId([8; 16]));
    assert_eq!(store.switches(STATE).await, Ok(Vec::new()));
    let switch = |partition, offset, release| {
        let to = Option::map(release, |release| RowsUnder { release, canary: release % 2 == 0 });
        RowSwitch { partition, offset, to }
    };
    let [first, second] =
        [[switch(1, 0, Some(1)), switch(0, 300, None)], [switch(0, 7, Some(2)), switch(0, 300, Some(3))]];
    for (state, switches) in [(STATE, first), (other, first), (STATE, second)] {
        let commit = Commit { switches: switches.to_vec(), ..commit(state, &keys(1), 400) };
        store.commit(vec![commit]).await.unwrap();
    }
    drop(store);
    let store = open(&path);
    let expected = vec![switch(0, 7, Some(2)), switch(0, 300, Some(3)), switch(1, 0, Some(1))];
    assert_eq!(store.switches(STATE).await, Ok(expected));
    store.clear(STATE).await.unwrap();
    assert_eq!(store.switches(STATE).await, Ok(Vec::new()));
    assert_eq!(store.switches(other).await.unwrap().len(), 2);
}

#[test]
fn no_runtime_is_needed() {
    let (_dir, path) = place();
    let store = open(&path);
    store.commit(vec![commit(STATE, &keys(1), 0)]).now_or_never().unwrap().unwrap();
    assert_eq!(store.marker(STATE).now_or_never().unwrap(), Ok(Some(marker(1))));
}

#[tokio::test]
async fn the_last_of_equal_keys_and_states_counts() {
    let (_dir, path) = place();
    let store = open(&path);
    let mut first = commit(STATE, &keys(1), 0);
    first.puts.push((keys(1)[0].clone(), record(1)));
    store.commit(vec![first.clone()]).await.unwrap();
    assert_eq!(store.read(STATE, &keys(1)).await.unwrap().records, [Some(record(1))]);
    store.commit(vec![commit(STATE, &keys(1), 2), commit(STATE, &keys(1), 3)]).await.unwrap();
    let snapshot = store.read(STATE, &keys(1)).await.unwrap();
    assert_eq!((snapshot.marker, snapshot.records), (Some(marker(4)), vec![Some(record(3))]));
}

#[tokio::test]
async fn a_refused_commit_writes_nothing_of_any_state() {
    let (_dir, path) = place();
    let store = open(&path);
    let other = StateId([9; 16]);
    store.commit(vec![commit(STATE, &keys(2), 10)]).await.unwrap();
    let backwards = commit(STATE, &keys(2), 9);
    let mut incarnation = commit(STATE, &keys(2), 11);
    incarnation.marker.incarnation = 6;
    let mut log = commit(STATE, &keys(2), 11);
    log.marker.log = LogId("trains".into());
    let mut source = commit(STATE, &keys(2), 11);
    source.marker.source = "arrival=assumed".to_owned();
    let mut partition = commit(STATE, &keys(2), 11);
    partition.marker.positions.0 = [(1, 11)].into();
    let mut large = commit(STATE, &keys(2), 11);
    large.puts[1].1.fields = vec![0; RECORD_BYTES_MAX];
    let mut long = commit(STATE, &keys(2), 11);
    long.puts[1].0 = EntityKey(vec![b'k'; KEY_BYTES_MAX + 1].into());
    for (refused, expected) in [
        (backwards, "partition 0 is applied up to offset 11 and the commit says 10"),
        (partition, "partition 0 is applied up to offset 11 and the commit says 0"),
        (incarnation, "has incarnation 5 and the commit names 6"),
        (log, "follows the log flights and the commit comes from trains"),
        (source, "from events read as arrival=none and the commit comes from events read as arrival=assumed"),
        (large, "the record has 1048613 bytes, the most is 1048576"),
        (long, "an entity key has 2049 bytes, the most is 2048; it begins 6b6b"),
    ] {
        let error = store.commit(vec![commit(other, &keys(1), 0), refused]).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains(&format!("state {STATE}")), "{error}");
        assert_eq!(all(&store, other).await, Page::default());
        let page = all(&store, STATE).await;
        assert_eq!((page.marker, page.entries.len()), (Some(marker(11)), 2));
        assert!(page.entries.iter().all(|(_, kept)| *kept == record(10)));
    }
    // The same marker again, and a partition that is new, are both fine.
    let mut partition = commit(STATE, &[], 10);
    store.commit(vec![partition.clone()]).await.unwrap();
    partition.marker.positions.0.insert(1, 4);
    store.commit(vec![partition]).await.unwrap();
}

#[tokio::test]
async fn a_commit_that_is_never_polled_writes_nothing() {
    let (_dir, path) = place();
    let store = open(&path);
    drop(store.commit(vec![commit(STATE, &keys(2), 0)]));
    assert_eq!(store.marker(STATE).await, Ok(None));
}

#[tokio::test]
async fn a_scan_walks_one_state_page_by_page() {
    let (_dir, path) = place();
    let store = open(&path);
    let entities = keys(10);
    // Neighbours in the order of the table, the last of which has no successor.
    for state in [StateId([6; 16]), STATE, StateId([255; 16])] {
        store.commit(vec![commit(state, &entities, 1)]).await.unwrap();
    }
    for (state, limit) in [(STATE, 3), (STATE, 5), (STATE, 10), (StateId([255; 16]), 4), (STATE, 1)] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.scan(state, after, limit).await.unwrap();
            assert_eq!(page.marker, Some(marker(2)));
            assert!(page.entries.len() <= limit);
            seen.extend(page.entries.into_iter().map(|(key, _)| key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, entities, "limit {limit}");
    }
    assert_eq!(all(&store, StateId([8; 16])).await, Page::default());
    let beyond = store.scan(STATE, Some(key("z")), 5).await.unwrap();
    assert_eq!((beyond.entries.len(), beyond.next), (0, None));
    assert_eq!(store.scan(STATE, None, 0).await.unwrap().entries.len(), 0);
}

#[tokio::test]
async fn a_cleared_state_starts_anew_and_leaves_the_others() {
    let (_dir, path) = place();
    let store = open(&path);
    let last = StateId([255; 16]);
    for state in [StateId([6; 16]), STATE, last] {
        store.commit(vec![commit(state, &keys(5), 8)]).await.unwrap();
    }
    for state in [STATE, last] {
        store.clear(state).await.unwrap();
        assert_eq!(all(&store, state).await, Page::default());
    }
    assert_eq!(all(&store, StateId([6; 16])).await.entries.len(), 5);
    let mut anew = commit(STATE, &keys(1), 0);
    anew.marker.incarnation = 6;
    store.commit(vec![anew]).await.unwrap();
    store.clear(StateId([1; 16])).await.unwrap();
}

/// Every commit rewrites all records and moves the marker by one, so a reader that saw half a commit would find
/// records of another offset than the marker says.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_the_state_before_or_after_a_commit() {
    const COMMITS: u64 = 60;
    let (_dir, path) = place();
    let store = open(&path);
    let entities = keys(40);
    let readers: Vec<_> = (0..3)
        .map(|reader| {
            let (store, entities) = (store.clone(), entities.clone());
            tokio::spawn(async move {
                let (mut next, mut reads) = (0, 0_u64);
                while next < COMMITS {
                    let (marker, records) = match reader {
                        0 => {
                            let page = store.scan(STATE, None, usize::MAX).await.unwrap();
                            (page.marker, page.entries.into_iter().map(|(_, record)| Some(record)).collect())
                        }
                        _ => {
                            let snapshot = store.read(STATE, &entities).await.unwrap();
                            (snapshot.marker, snapshot.records)
                        }
                    };
                    let Some(marker) = marker else { continue };
                    assert!(marker.positions.next(0) >= next);
                    next = marker.positions.next(0);
                    assert_eq!(records, vec![Some(record(next - 1)); entities.len()]);
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    for offset in 0..COMMITS {
        store.commit(vec![commit(STATE, &entities, offset)]).await.unwrap();
    }
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
}

/// Two writers of one state: whoever is behind is refused, and no commit is lost or half there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_commits_are_one_after_the_other() {
    let (_dir, path) = place();
    let store = open(&path);
    let writers: Vec<_> = (0..2_u8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut refused = 0;
                for offset in 0..30 {
                    let own = Commit { state: StateId([writer; 16]), ..commit(STATE, &keys(3), offset) };
                    match store.commit(vec![own, commit(STATE, &keys(3), offset)]).await {
                        Ok(()) => {}
                        Err(StoreError::Backwards { .. }) => refused += 1,
                        Err(other) => panic!("{other}"),
                    }
                }
                refused
            })
        })
        .collect();
    for writer in writers {
        assert!(writer.await.unwrap() < 30);
    }
    let page = all(&store, STATE).await;
    assert_eq!(page.marker, Some(marker(30)));
    assert!(page.entries.iter().all(|(_, kept)| *kept == record(29)));
    for own in [StateId([0; 16]), StateId([1; 16])] {
        assert_eq!(store.marker(own).await, Ok(Some(marker(30))));
    }
}
