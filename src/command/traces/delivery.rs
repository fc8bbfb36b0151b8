//! Says once that no traces arrive, and once that they do again. The exporter would say it for each batch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::collector::Trouble;

/// An exporter whose failures are told when they begin and when they end.
#[derive(Debug)]
pub struct Delivery<E> {
    exporter: E,
    trouble: Trouble,
    is_failing: AtomicBool,
}

impl<E> Delivery<E> {
    /// Wraps an exporter. It says that it failed; `trouble` knows why.
    pub fn new(exporter: E, trouble: Trouble) -> Self {
        Self {
            exporter,
            trouble,
            is_failing: AtomicBool::new(false),
        }
    }

    fn tell(&self, result: &OTelSdkResult) {
        let is_failing = result.is_err();
        if self.is_failing.swap(is_failing, Ordering::Relaxed) == is_failing {
            return;
        }
        match result {
            Ok(()) => tracing::info!("the collector takes traces again"),
            Err(error) => tracing::warn!(
                %error,
                cause = self.trouble.last(),
                "the collector takes no traces: they are dropped until it does, which will be told"
            ),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Delivery<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        self.tell(&result);
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
