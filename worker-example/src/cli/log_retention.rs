//! `--log-retention`: how long the logs of tasks are kept.

use std::time::Duration;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, parser::ValueSource};

use super::units;

/// How long logs are kept unless the operator says otherwise.
const LOG_RETENTION: Duration = Duration::from_hours(30 * 24);
/// The ids of both options.
const TIME: &str = "log_retention";
const DAYS: &str = "log_retention_days";

/// How long the logs of tasks are kept, from the options and their variables.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogRetention(Duration);

impl LogRetention {
    /// How long logs are kept. `None` keeps them for ever.
    pub(super) fn time(self) -> Option<Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }
}

#[derive(Clone, Debug, Default, Args)]
struct Given {
    /// How long the logs of tasks are kept, such as 90d. 0s keeps them for ever [default: 30d].
    #[arg(long, env = "CLAUDE_TASKS_LOG_RETENTION", value_name = "TIME", value_parser = units::retention)]
    log_retention: Option<Duration>,
    /// `--log-retention` in days, as it was called before.
    #[arg(
        long,
        env = "CLAUDE_TASKS_LOG_RETENTION_DAYS",
        value_name = "DAYS",
        hide = true
    )]
    log_retention_days: Option<u32>,
}

impl Given {
    /// The time of the option that wins. `is_typed` tells whether an option is on the command line and not in a variable.
    /// Without this, a variable could keep data longer than a typed option says.
    ///
    /// | variable | meaning | default |
    /// |---|---|---|
    /// | `CLAUDE_TASKS_LOG_RETENTION_DAYS` | as `CLAUDE_TASKS_LOG_RETENTION`, which wins, as a number of days | |
    fn retention(&self, is_typed: impl Fn(&str) -> bool) -> LogRetention {
        let days = self.log_retention_days.map(u64::from);
        let in_days = days.map(|days| Duration::from_hours(24 * days));
        let time = if is_typed(DAYS) && !is_typed(TIME) {
            in_days
        } else {
            self.log_retention.or(in_days)
        };
        LogRetention(time.unwrap_or(LOG_RETENTION))
    }
}

impl Args for LogRetention {
    fn augment_args(command: Command) -> Command {
        Given::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Given::augment_args_for_update(command)
    }
}

impl FromArgMatches for LogRetention {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let is_typed =
            |option: &str| matches.value_source(option) == Some(ValueSource::CommandLine);
        Ok(Given::from_arg_matches(matches)?.retention(is_typed))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        retention: LogRetention,
    }

    const fn days(days: u64) -> Duration {
        Duration::from_hours(24 * days)
    }

    #[test]
    fn logs_are_kept_for_a_time_or_for_days_as_before() {
        let kept = |arguments: &[&str]| {
            let cli = Cli::try_parse_from(iter::once(&"worker").chain(arguments));
            cli.map(|cli| cli.retention.time())
                .map_err(|error| error.kind())
        };
        let kept_for = |number: u64| Ok(Some(days(number)));
        assert_eq!(kept(&[]), kept_for(30));
        assert_eq!(kept(&["--log-retention", "90d"]), kept_for(90));
        assert_eq!(kept(&["--log-retention-days", "7"]), kept_for(7));
        let both = ["--log-retention-days", "7", "--log-retention", "2d"];
        assert_eq!(kept(&both), kept_for(2));
        for never in [["--log-retention", "0s"], ["--log-retention-days", "0"]] {
            assert_eq!(kept(&never), Ok(None));
        }
        for bad in ["30", "101y"] {
            assert!(kept(&["--log-retention", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_typed_option_wins_over_the_variable_of_the_other_one() {
        let given = Given {
            log_retention: Some(days(90)),
            log_retention_days: Some(7),
        };
        for (typed, expected) in [
            (&[TIME][..], 90),
            (&[], 90),
            (&[DAYS], 7),
            (&[TIME, DAYS], 90),
        ] {
            let kept = given.retention(|option| typed.contains(&option)).time();
            assert_eq!(kept, Some(days(expected)), "{typed:?}");
        }
    }
}
