# Thin aliases; nothing needs `just`.

# Everything that a change must pass.
check:
    bash .ci/run

test:
    cargo test

bench *ARGS:
    cargo bench {{ ARGS }}

duel *ARGS:
    cargo bench --bench duel -- {{ ARGS }}
