#![allow(warnings, clippy::all)]
use std::sync::Arc; use std::time::Instant;
use arrow_array::*; use trifold_sandbox::*; use trifold_wat_guest::*;
fn main(){
  let s=Sandbox::new(SandboxConfig::default()).unwrap();
  let t=s.admit(&unruly("b",|_|{}).pages(18).build().unwrap()).unwrap();
  let mk=|n:usize|{ let c=|v:Vec<i64>|Arc::new(Int64Array::from(v)) as ArrayRef; RecordBatch::try_new(t.view().input_schema().clone(),vec![c((0..n as i64).collect()),c(vec![0;n]),c((0..n as i64).collect())]).unwrap()};
  for n in [1usize,10,100,4096]{
    let b=mk(n);
    let reps= if n>1000 {500} else {20000};
    for _ in 0..reps/10 { t.apply(&b,&mut Budget::unlimited()); }
    let i=Instant::now();
    for _ in 0..reps { t.apply(&b,&mut Budget::unlimited()); }
    let e=i.elapsed().as_nanos() as f64/reps as f64;
    println!("fresh n={n}: {e:.0} ns/call {:.1} ns/row",e/n as f64);
    if std::env::args().count()<2 {continue;}
    let mut w=t.warm().unwrap();
    let b2=mk(n);
    let i=Instant::now();
    for _ in 0..reps { w.apply(&b2); }
    let e=i.elapsed().as_nanos() as f64/reps as f64;
    println!("warm n={n}: {e:.0} ns/call {:.1} ns/row",e/n as f64);
  }
}
