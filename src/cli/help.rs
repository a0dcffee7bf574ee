//! What the long help says below the options: examples, and what exit codes mean.

macro_rules! gateway {
    () => {
        "\
Without a command it serves. Without a configuration file it serves with the defaults:
http://127.0.0.1:6622, the vendor's API as upstream, nocache added to every reCAPTCHA v2 and v3 task."
    };
}

pub const GATEWAY: &str = gateway!();

pub const GATEWAY_LONG: &str = concat!(
    gateway!(),
    "

Examples:
  nocache-gateway demo                  # see what it does
  nocache-gateway init                  # a configuration to begin with
  nocache-gateway                       # serve; bots send to http://127.0.0.1:6622

Exit codes: 0 success; 1 it failed; 2 its input is wrong (command line, configuration, request)."
);

pub const DEMO: &str = "\
Examples:
  nocache-gateway demo                  # one request of each kind, and what reached the sandbox
  nocache-gateway demo --serve          # bots that buy captchas, and the status page";

pub const INIT: &str = "\
Examples:
  nocache-gateway init                  # writes nocache-gateway.toml, which is read from this folder
  nocache-gateway init - | less         # every setting, to look at";

pub const SERVE: &str = "\
Examples:
  nocache-gateway serve -c rules.toml
  nocache-gateway serve --upstream http://127.0.0.1:6624     # in front of the sandbox

Changed rules take effect at once. Exit codes: 0 stopped by a signal; 1 it failed, or requests
were cut off at the end; 2 the configuration is wrong.";

pub const CHECK: &str = "\
Examples:
  nocache-gateway check                 # the file that serve would read here
  nocache-gateway check rules.toml --deny-warnings --json

Exit codes: 0 valid; 2 errors, a test that failed, or denied warnings. Codes: docs/errors.md.";

pub const EXPLAIN: &str = "\
Examples:
  nocache-gateway explain --site https://shop.example/login
  nocache-gateway explain body.json     # or the body itself, an in.php URL, a raw request, \"-\"
  nocache-gateway explain curl http://127.0.0.1:6622/createTask -d '{\"clientKey\": …}'
  nocache-gateway explain --batch sites.txt --against new.toml

It uses the rules of the folder that it runs in, or of --config.
Exit codes: 0; 1 with --against, if something is decided differently; 2 if the input is wrong.";

pub const CONFIG_SHOW: &str = "\
Examples:
  nocache-gateway config show           # what serve would use if it were started here and now
  nocache-gateway config show --running # what the gateway that runs uses";

pub const STATS: &str = "\
Examples:
  nocache-gateway stats --since 1h
  nocache-gateway stats --since 30d --csv > stats.csv         # needs [ledger] file";

pub const DOCTOR: &str = "\
Examples:
  nocache-gateway doctor                # what serve would meet here and now
  nocache-gateway doctor --json -c rules.toml

It connects to the upstream and sends no request. The output has no key and no password in it.
Exit codes: 0 OK or warnings; 1 something is wrong.";

pub const SANDBOX: &str = "\
Examples:
  nocache-gateway sandbox &             # then: nocache-gateway --upstream http://127.0.0.1:6624
  nocache-gateway sandbox --delay 5s --nocache-delay 10s --fail-every 20

/sandbox/tasks on its address shows what it received.";

pub const HEALTHCHECK: &str = "\
Examples:
  nocache-gateway healthcheck           # asks the admin listener of the same configuration
  nocache-gateway healthcheck --admin-listen 127.0.0.1:7000

Exit codes: 0 ready; 1 not ready, with the reason.";

pub const CA: &str = "\
Examples:
  nocache-gateway ca init               # in the folder of [ca] folder
  nocache-gateway ca show               # how programs are made to trust it";

pub const HOSTS: &str = "\
Examples:
  nocache-gateway hosts                 # the lines to add, and what is there
  nocache-gateway hosts --file /mnt/etc/hosts";

pub const SCHEMA: &str = "\
Examples:
  nocache-gateway schema > nocache-gateway.schema.json     # the first line of init's file names it
  nocache-gateway schema | check-jsonschema --schemafile - nocache-gateway.toml";

pub const COMPLETIONS: &str = "\
Examples:
  source <(nocache-gateway completions bash)                  # in ~/.bashrc
  nocache-gateway completions zsh > ~/.zfunc/_nocache-gateway # a folder of $fpath
  nocache-gateway completions fish > ~/.config/fish/completions/nocache-gateway.fish
  nocache-gateway completions powershell | Out-String | Invoke-Expression";

pub const MAN: &str = "\
Examples:
  nocache-gateway man .                 # then: man ./nocache-gateway.1
  nocache-gateway man /usr/local/share/man/man1";
