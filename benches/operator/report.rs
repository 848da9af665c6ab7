//! Rows: a table on standard output, and `target/bench.json`.

use std::path::Path;

use serde_json::{Value, json};

/// One measurement beside its reference, taken in the same run.
pub struct Row {
    pub id: &'static str,
    pub what: String,
    pub unit: &'static str,
    pub ours: Vec<f64>,
    pub reference: Vec<f64>,
    /// Ours over reference, at most.
    pub goal: f64,
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

pub fn spread(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, 0.0), |(low, high), value| {
            (value.min(low), value.max(high))
        })
}

/// Prints the rows, and puts them into `target/bench.json` in place of those of the same id; each says when it was taken.
pub fn report(rows: &[Row]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench.json");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let mut list: Vec<Value> = serde_json::from_str(&before).unwrap_or_default();
    println!("\n| id | unit | ours (spread) | reference (spread) | ratio | goal | met |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for row in rows {
        let (mine, theirs) = (median(&row.ours), median(&row.reference));
        let ((low, high), (their_low, their_high)) = (spread(&row.ours), spread(&row.reference));
        let ratio = mine / theirs;
        let met = ratio <= row.goal;
        println!(
            "| {} | {} | {mine:.2} ({low:.2}-{high:.2}) | {theirs:.2} ({their_low:.2}-{their_high:.2}) | {ratio:.2} | {:.1} | {} |",
            row.id,
            row.unit,
            row.goal,
            if met { "yes" } else { "no" }
        );
        list.retain(|other| other["id"] != row.id);
        list.push(json!({
            "id": row.id, "what": row.what, "ours": mine, "reference": theirs, "ratio": ratio, "unit": row.unit,
            "goal": row.goal, "met": met,
            "spread": {"ours": [low, high], "reference": [their_low, their_high]}, "runs": row.ours.len(),
            "taken": k8s_openapi::jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }));
    }
    let text = serde_json::to_string_pretty(&list).expect("rows are JSON");
    std::fs::create_dir_all(path.parent().expect("target")).expect("target can be made");
    std::fs::write(&path, text + "\n").expect("target can be written");
    println!("\nwritten: target/bench.json");
}
