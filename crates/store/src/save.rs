//! Documents into the database.

use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::database::{Database, Dialect, StoreError, Value, in_transaction};
use crate::row::{Row, count};

/// Columns of `calls` that are written, in order. `seq` is the database's.
const COLUMNS: [&str; 30] = [
    "id",
    "rev",
    "state",
    "server",
    "tenant",
    "route",
    "agent",
    "direction",
    "transport",
    "from_number",
    "to_number",
    "status",
    "ended",
    "verdict",
    "language",
    "started_ms",
    "ended_ms",
    "duration_ms",
    "turns",
    "interruptions",
    "false_interruptions",
    "fillers",
    "apologies",
    "errors",
    "answer_p50_ms",
    "answer_p95_ms",
    "answer_max_ms",
    "cost",
    "numbers",
    "document",
];

fn values(row: &Row) -> Vec<Value> {
    let head = &row.head;
    let text = |text: &str| Value::from(text);
    vec![
        text(&head.id),
        head.rev.into(),
        text(head.state.name()),
        text(&head.server),
        text(&head.tenant),
        text(&head.route),
        text(&head.agent),
        text(head.direction.name()),
        text(head.transport.name()),
        text(&head.from),
        text(&head.to),
        text(&head.status),
        head.ended.as_deref().into(),
        head.outcome.as_ref().map(|outcome| outcome.verdict.as_str()).into(),
        head.language.as_deref().into(),
        head.started_at_ms.into(),
        head.ended_at_ms.into(),
        head.duration_ms.into(),
        count(head.turns.len()).into(),
        row.counts.interruptions.into(),
        row.counts.false_interruptions.into(),
        row.counts.fillers.into(),
        row.counts.apologies.into(),
        count(head.errors.len()).into(),
        head.latency.p50_ms.into(),
        head.latency.p95_ms.into(),
        head.latency.max_ms.into(),
        head.cost.as_ref().map(|cost| cost.total).into(),
        row.numbers.clone().map_or(Value::Null, Value::Bytes),
        Value::Bytes(row.document.clone()),
    ]
}

/// `($1, $2, …)`
fn places(count: usize) -> String {
    let all: Vec<String> = (1..=count).map(|number| format!("${number}")).collect();
    format!("({})", all.join(", "))
}

/// The name under which a deleted call is remembered.
pub(crate) fn id_hash(id: &str) -> String {
    Sha256::digest(id.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Writes all of them or none. A call that is there in the same revision or a newer one stays as it is, so does another tenant's,
/// and one that was deleted stays so.
pub(crate) fn save(database: &mut dyn Database, rows: &[Row]) -> Result<(), StoreError> {
    in_transaction(database, |database| rows.iter().try_for_each(|row| save_one(database, row)))
}

fn save_one(database: &mut dyn Database, row: &Row) -> Result<(), StoreError> {
    let gone =
        database.query("SELECT 1 FROM deleted WHERE id_hash = $1", &[id_hash(row.id()).as_str().into()])?;
    if !gone.is_empty() {
        return Ok(());
    }
    let updates: Vec<String> =
        COLUMNS.iter().skip(1).map(|column| format!("{column} = excluded.{column}")).collect();
    let sql = format!(
        "INSERT INTO calls ({}) VALUES {} ON CONFLICT (id) DO UPDATE SET {} WHERE excluded.rev > calls.rev AND \
         excluded.tenant = calls.tenant RETURNING seq",
        COLUMNS.join(", "),
        places(COLUMNS.len()),
        updates.join(", ")
    );
    let written = database.query(&sql, &values(row))?;
    let Some(seq) = written.first().and_then(|row| row.first()).and_then(Value::int) else { return Ok(()) };
    save_words(database, seq, &row.words)?;
    for table in ["legs", "turns", "tools", "providers"] {
        database.execute(&format!("DELETE FROM {table} WHERE call_seq = $1"), &[seq.into()])?;
    }
    for (number, leg) in row.head.legs.iter().enumerate() {
        let values = [
            seq.into(),
            count(number).into(),
            leg.name.as_str().into(),
            leg.at_ms.into(),
            leg.until_ms.into(),
            leg.ended.as_deref().into(),
        ];
        database.execute("INSERT INTO legs VALUES ($1, $2, $3, $4, $5, $6)", &values)?;
    }
    for (number, turn) in row.head.turns.iter().enumerate() {
        let answer = turn.answer;
        let values = [
            seq.into(),
            count(number).into(),
            turn.who.name().into(),
            turn.kind.as_deref().into(),
            turn.at_ms.into(),
            turn.until_ms.into(),
            i64::from(turn.interrupted).into(),
            answer.and_then(|answer| answer.transcript_ms).into(),
            answer.map(|answer| answer.decided_ms).into(),
            answer.map(|answer| answer.requested_ms).into(),
            answer.and_then(|answer| answer.first_text_ms).into(),
            answer.and_then(|answer| answer.first_audio_ms).into(),
            answer.map(|answer| answer.first_frame_ms).into(),
        ];
        let sql = "INSERT INTO turns VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        database.execute(sql, &values)?;
    }
    for (number, tool) in row.head.tools.iter().enumerate() {
        let values = [
            seq.into(),
            count(number).into(),
            tool.name.as_str().into(),
            tool.at_ms.into(),
            tool.took_ms.into(),
            tool.result.as_str().into(),
        ];
        database.execute("INSERT INTO tools VALUES ($1, $2, $3, $4, $5, $6)", &values)?;
    }
    for (provider, usage) in &row.head.usage {
        let cost = row.head.cost.as_ref().and_then(|cost| cost.by_provider.get(provider)).copied();
        let values = [
            seq.into(),
            provider.as_str().into(),
            usage.requests.into(),
            usage.failures.into(),
            usage.audio_ms.into(),
            usage.input_tokens.into(),
            usage.cached_tokens.into(),
            usage.output_tokens.into(),
            usage.characters.into(),
            cost.into(),
        ];
        database
            .execute("INSERT INTO providers VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", &values)?;
    }
    Ok(())
}

fn save_words(database: &mut dyn Database, seq: i64, words: &str) -> Result<(), StoreError> {
    match database.dialect() {
        Dialect::Sqlite => {
            database.execute("DELETE FROM words WHERE rowid = $1", &[seq.into()])?;
            let values = [seq.into(), words.into()];
            database.execute("INSERT INTO words (rowid, text) VALUES ($1, $2)", &values)?;
        }
        Dialect::Postgres => {
            let sql = "UPDATE calls SET words = array_to_tsvector(string_to_array($2, ' ')) WHERE seq = $1";
            database.execute(sql, &[seq.into(), words.into()])?;
        }
    }
    Ok(())
}
