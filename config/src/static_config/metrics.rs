//! `global.metrics`: which metrics there are and who gets them.

use std::time::Duration;

use super::{
    read::{Entries, Item, section},
    scalar::choice,
    stores::Texts,
};
use crate::{
    keys::nearest,
    problem::{Cause, Problems},
};

section! {
    /// Which metrics there are and who gets them.
    pub struct Metrics {
        /// Tags of every metric.
        "tags" tags: Texts,
        /// By tag the values that are kept; others become `_tag_excluded_`.
        "excludeTags" exclude_tags: Entries<Vec<Item<String>>>,
        /// What every name begins with.
        "prefix" prefix: Item<String>,
        /// Bounds of the buckets, by unit.
        "perUnitHistogramBoundaries" per_unit_histogram_boundaries: Entries<Vec<Item<f64>>>,
        /// No units in names.
        "withoutUnitSuffix" without_unit_suffix: Item<bool>,
        /// No `_total` in names of counters.
        "withoutCounterSuffix" without_counter_suffix: Item<bool>,
        /// Times in seconds in place of milliseconds.
        "recordTimerInSeconds" record_timer_in_seconds: Item<bool>,
        /// Sets of tags that are kept.
        "tagsCacheMaxSize" tags_cache_max_size: Item<u32> = 10_000,
        /// Sends metrics to a StatsD server.
        "statsd" statsd: Option<Statsd>,
        /// Serves metrics to Prometheus.
        "prometheus" prometheus: Option<Prometheus>,
    }
}

section! {
    /// Sends metrics to a StatsD server.
    pub struct Statsd {
        /// `host:port` of the server.
        "hostPort" host_port: Item<String>,
        /// What every name begins with.
        "prefix" prefix: Item<String>,
        /// Longest time until metrics are sent.
        "flushInterval" flush_interval: Item<Duration> = Duration::from_secs(1),
        /// Largest packet, in bytes.
        "flushBytes" flush_bytes: Item<u32> = 1432,
        /// How tags are written.
        "reporter" reporter: StatsdReporter,
        /// Library that keeps the metrics.
        "framework" framework: Item<Option<Framework>> = Some(Framework::Tally),
    }
}

section! {
    /// How tags are written.
    pub struct StatsdReporter {
        /// What stands before a tag.
        "tagSeparator" tag_separator: Item<String>,
    }
}

section! {
    /// Serves metrics to Prometheus.
    pub struct Prometheus {
        /// Library that keeps the metrics.
        "framework" framework: Item<Option<Framework>> = Some(Framework::Tally),
        /// `host:port` to listen on.
        "listenAddress" listen_address: Item<String>,
        /// Path of the page.
        "handlerPath" handler_path: Item<String> = "/metrics".to_owned(),
        /// Most log lines a second; 0 is no bound.
        "loggerRPS" logger_rps: Item<f64>,
        /// Network to listen on.
        "listenNetwork" listen_network: Item<String> = "tcp".to_owned(),
        /// Kind of timers; they are histograms whatever it says.
        "timerType" timer_type: Item<String>,
        /// Bounds of the buckets of timers, in seconds.
        "defaultHistogramBoundaries" default_histogram_boundaries: Vec<Item<f64>>,
        /// The same in an older form.
        "defaultHistogramBuckets" default_histogram_buckets: Vec<Bucket>,
        /// Quantiles of summaries.
        "defaultSummaryObjectives" default_summary_objectives: Vec<SummaryObjective>,
        /// What happens when the address cannot be listened on.
        "onError" on_error: Item<String>,
        /// What becomes of characters that Prometheus does not take.
        "sanitizeOptions" sanitize_options: Option<SanitizeOptions>,
    }
}

section! {
    /// A bucket of a histogram.
    pub struct Bucket {
        /// Its upper bound, in seconds.
        "upper" upper: Item<f64>,
    }
}

section! {
    /// A quantile of a summary.
    pub struct SummaryObjective {
        /// The quantile.
        "percentile" percentile: Item<f64>,
        /// How far off it may be.
        "allowedError" allowed_error: Item<f64>,
    }
}

section! {
    /// What becomes of characters that Prometheus does not take.
    pub struct SanitizeOptions {
        /// Characters of names.
        "nameChars" name_chars: Option<Characters>,
        /// Characters of keys.
        "keyChars" key_chars: Option<Characters>,
        /// Characters of values.
        "valueChars" value_chars: Option<Characters>,
        /// What stands in for others.
        "replacementChar" replacement_char: Item<String>,
    }
}

section! {
    /// A set of characters.
    pub struct Characters {
        /// From one to another.
        "ranges" ranges: Vec<CharacterRange>,
        /// Single ones.
        "safeChars" safe_chars: Item<String>,
    }
}

section! {
    /// Characters from one to another.
    pub struct CharacterRange {
        /// The first.
        "startRange" start: Item<String>,
        /// The last.
        "endRange" end: Item<String>,
    }
}

choice! {
    /// Library that keeps metrics, which decides on details of their names.
    pub enum Framework, any case: false {
        /// Tally.
        Tally = "tally",
        /// OpenTelemetry.
        OpenTelemetry = "opentelemetry",
    }
}

/// Units of histograms.
const UNITS: &[&str] = &["dimensionless", "milliseconds", "bytes"];

impl Metrics {
    pub(super) fn check(&self, problems: &mut Problems) {
        let path = &self.origin.path;
        for (unit, bounds) in &self.per_unit_histogram_boundaries {
            let at = bounds.iter().find_map(|bound| bound.at).unwrap_or(self.origin.at);
            let key = format!("{path}.perUnitHistogramBoundaries.{unit}");
            if !UNITS.contains(&unit.as_str()) {
                problems.add(at, Cause::UnknownKey { key: key.clone(), nearest: nearest(unit, UNITS), known: UNITS });
            }
            if let Some(pair) = bounds.windows(2).find(|pair| pair[0].value >= pair[1].value) {
                problems.contradiction(pair[1].at.unwrap_or(at), format!("{key} must rise from bound to bound"));
            }
        }
        if let (Some(statsd), Some(_)) = (&self.statsd, &self.prometheus) {
            problems.doubt(
                statsd.origin.at,
                format!("{path}.prometheus has no effect beside {path}.statsd; remove one of them"),
            );
        }
        if let Some(statsd) = &self.statsd {
            statsd.host_port.require(&statsd.origin, "hostPort", "host:port of the StatsD server", problems);
            statsd.prefix.require(&statsd.origin, "prefix", "what names shall begin with, such as temporal", problems);
        }
        if let Some(prometheus) = &self.prometheus {
            prometheus.check(problems);
        }
        let names = self.prometheus.as_ref().is_some_and(|it| *it.framework == Some(Framework::OpenTelemetry));
        for (key, item) in [
            ("withoutUnitSuffix", &self.without_unit_suffix),
            ("withoutCounterSuffix", &self.without_counter_suffix),
            ("recordTimerInSeconds", &self.record_timer_in_seconds),
        ] {
            if **item && !names {
                problems.doubt(
                    item.place(&self.origin),
                    format!("{path}.{key} has no effect without prometheus.framework: opentelemetry"),
                );
            }
        }
    }
}

impl Prometheus {
    fn check(&self, problems: &mut Problems) {
        let at = self.listen_address.place(&self.origin);
        self.listen_address.require(&self.origin, "listenAddress", "host:port to listen on", problems);
        if self.listen_address.is_given() && self.port().is_none() && self.listen_network.starts_with("tcp") {
            problems.add(
                at,
                Cause::Value {
                    key: self.origin.key("listenAddress"),
                    takes: "host:port, such as 127.0.0.1:8000".to_owned(),
                    given: format!("{:?}", self.listen_address.value),
                },
            );
        }
        if self.timer_type.is_given() && *self.timer_type != "histogram" {
            problems.doubt(
                self.timer_type.place(&self.origin),
                format!("{} has no effect: timers are histograms", self.origin.key("timerType")),
            );
        }
    }

    /// The port that is listened on.
    pub(super) fn port(&self) -> Option<u16> {
        self.listen_address.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
    }
}
