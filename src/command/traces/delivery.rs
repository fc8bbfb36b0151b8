//! Logs once when the collector stops accepting traces, and once when it accepts them again. The exporter would log each batch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::collector::LastFailure;

/// An exporter that logs when failures begin and when they end.
#[derive(Debug)]
pub struct Delivery<E> {
    exporter: E,
    last_failure: LastFailure,
    is_failing: AtomicBool,
}

impl<E> Delivery<E> {
    /// Wraps an exporter. `last_failure` has the cause of a failure.
    pub fn new(exporter: E, last_failure: LastFailure) -> Self {
        Self {
            exporter,
            last_failure,
            is_failing: AtomicBool::new(false),
        }
    }

    fn log(&self, result: &OTelSdkResult) {
        let is_failing = result.is_err();
        if self.is_failing.swap(is_failing, Ordering::Relaxed) == is_failing {
            return;
        }
        match result {
            Ok(()) => tracing::info!("the collector accepts traces again"),
            Err(error) => tracing::warn!(
                %error,
                cause = self.last_failure.text(),
                "the collector does not accept traces: they are dropped until it does. The next message about this is logged then"
            ),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Delivery<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        self.log(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
