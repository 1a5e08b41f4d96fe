//! What the bus tells about itself: `levee_bus_*`.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

/// The bus's metrics. Handles are shared: clones count into the same series.
#[derive(Debug, Clone)]
pub struct BusMetrics {
    /// Frames that were published, heartbeats left out.
    pub(crate) publishes: IntCounter,
    /// Messages that they carried.
    pub(crate) messages: IntCounter,
    pub(crate) batch: Histogram,
    pub(crate) gaps: IntCounter,
    pub(crate) unreached: IntCounter,
    pub(crate) connects: IntCounter,
    pub(crate) up: IntGauge,
    pub(crate) lag: Histogram,
}

impl BusMetrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When the registry already has metrics of these names.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self::new()?;
        registry.register(Box::new(metrics.publishes.clone()))?;
        registry.register(Box::new(metrics.messages.clone()))?;
        registry.register(Box::new(metrics.batch.clone()))?;
        registry.register(Box::new(metrics.gaps.clone()))?;
        registry.register(Box::new(metrics.unreached.clone()))?;
        registry.register(Box::new(metrics.connects.clone()))?;
        registry.register(Box::new(metrics.up.clone()))?;
        registry.register(Box::new(metrics.lag.clone()))?;
        Ok(metrics)
    }

    /// Metrics that are counted but not shown by any registry.
    ///
    /// # Errors
    /// Never in practice: names and buckets are fixed.
    pub fn new() -> prometheus::Result<Self> {
        let counter = IntCounter::new;
        Ok(Self {
            publishes: counter("levee_bus_publishes_total", "Frames published, heartbeats left out.")?,
            messages: counter("levee_bus_messages_total", "Messages that the published frames carried.")?,
            batch: Histogram::with_opts(
                HistogramOpts::new("levee_bus_frame_messages", "Messages that one frame carried.")
                    .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]),
            )?,
            gaps: counter("levee_bus_gaps_total", "Times at which frames from a node were missing or late.")?,
            unreached: counter("levee_bus_unreached_total", "Frames that reached nobody.")?,
            connects: counter("levee_bus_connects_total", "Connections made to Redis.")?,
            up: IntGauge::new("levee_bus_up", "1 while this node hears itself on the bus, else 0.")?,
            lag: Histogram::with_opts(
                HistogramOpts::new(
                    "levee_bus_echo_seconds",
                    "Seconds until this node heard what it said to itself on the bus.",
                )
                .buckets(vec![
                    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0,
                ]),
            )?,
        })
    }

    /// Frames published so far, heartbeats left out.
    pub fn publishes(&self) -> u64 {
        self.publishes.get()
    }

    /// Messages that they carried.
    pub fn messages(&self) -> u64 {
        self.messages.get()
    }
}
