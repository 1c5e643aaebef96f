//! What became of what is kept of calls: documents in the store, files in the bucket, traces.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use offhook_objects::Objects;
use offhook_store::Store;
use offhook_telemetry::Telemetry;

/// Reads the counters of the store, of the bucket and of the traces.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) store: Option<Store>,
    pub(crate) objects: Arc<OnceLock<Objects>>,
    pub(crate) telemetry: Option<Telemetry>,
}

impl Collector for Kept {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut all = Vec::new();
        if let Some(store) = &self.store {
            let counted = store.counters();
            all.extend([
                ("store_written", "Documents written to the database", true, of(&counted.written)),
                ("store_spooled", "Documents that had to wait in the spool", true, of(&counted.spooled)),
                ("store_spool_bytes", "Octets in the spool", false, of(&counted.spool_bytes)),
                (
                    "store_lost",
                    "Documents that are nowhere: queue and spool were full",
                    true,
                    of(&counted.lost),
                ),
                ("store_refused", "Documents that the database refused", true, of(&counted.refused)),
                ("store_failures", "Times that the database could not be used", true, of(&counted.failures)),
            ]);
        }
        if let Some(objects) = self.objects.get() {
            all.extend(crate::objects::counted(objects));
        }
        if let Some(telemetry) = &self.telemetry {
            let counted = telemetry.counters();
            all.extend([
                ("spans_exported", "Spans that a collector took", true, of(&counted.exported)),
                ("spans_failed", "Spans that no collector took", true, of(&counted.failed)),
                ("traces_dropped", "Calls not traced because too many waited", true, of(&counted.dropped)),
            ]);
        }
        for (name, help, grows, value) in all {
            if grows {
                let encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
                ConstCounter::new(value).encode(encoder)?;
            } else {
                let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value as f64).encode(encoder)?;
            }
        }
        Ok(())
    }
}
