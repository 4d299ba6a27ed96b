# Compiles the tests and runs them.
rustc --edition 2021 --test -o /tmp/check tests/roman.rs && /tmp/check
