# Two images: `docker build --target codec-server .` and `docker build --target worker .`
# Base images have exact versions. Their digests are not pinned: `docker buildx imagetools inspect IMAGE` shows them.

FROM rust:1.95.0-bookworm AS build
WORKDIR /build
# The SDK's build scripts need no protoc; AWS-LC needs cmake on some processors only.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked \
        --package temporal-kms-codec-server --package claude-tasks --bins \
    && install -D --target-directory=/out target/release/codec-server target/release/claude-tasks

# Node.js only installs it: the program itself is native.
FROM node:24.11.0-bookworm-slim AS claude
WORKDIR /claude
# Without its scripts npm leaves the native program where it came: in the platform's own package.
RUN npm install --ignore-scripts --no-audit --no-fund --no-save \
        --prefix . @anthropic-ai/claude-code@2.1.330 \
    && case "$(uname -m)" in x86_64) platform=x64 ;; aarch64) platform=arm64 ;; *) exit 1 ;; esac \
    && install -D --target-directory=/out \
        "node_modules/@anthropic-ai/claude-code-linux-$platform/claude"

FROM debian:12.11-slim AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 codec \
    && useradd --uid 10001 --gid codec --no-log-init --create-home codec \
    && install --directory --owner=codec --group=codec --mode=0700 \
        /var/lib/temporal-kms-codec /var/lib/temporal-kms-codec/keyring
VOLUME /var/lib/temporal-kms-codec/keyring

FROM base AS codec-server
COPY --from=build /out/codec-server /usr/local/bin/
USER codec
ENTRYPOINT ["codec-server"]
CMD ["dev", "--keyring", "/var/lib/temporal-kms-codec/keyring"]

FROM base AS worker
# What Claude Code's tools expect to find.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap git openssh-client procps ripgrep \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=codec --group=codec --mode=0700 /var/lib/claude-tasks
COPY --from=build /out/claude-tasks /usr/local/bin/
COPY --from=claude /out/claude /usr/local/bin/
VOLUME /var/lib/claude-tasks
USER codec
ENTRYPOINT ["claude-tasks"]
CMD ["worker", "--workdir", "/var/lib/claude-tasks"]
