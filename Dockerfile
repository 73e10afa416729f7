# SPDX-License-Identifier: Apache-2.0
# The manager as one bundled file: run `npm run bundle` first. Any base with Node.js 24 on its PATH will do.
ARG BASE_IMAGE=docker.io/library/node:24-slim
FROM ${BASE_IMAGE}
WORKDIR /app
COPY dist/manager.mjs dist/manager.mjs.map LICENSE ./
# Nothing is written to the root file system; /data is a volume.
USER 65532:65532
# Small young generations: most of what a reconcile allocates is garbage at once, and waiting for more of it only takes memory.
# For stack traces that point into the sources add --enable-source-maps (30 MB).
ENV NODE_ENV=production NODE_OPTIONS=--max-semi-space-size=4
ENTRYPOINT ["node", "/app/manager.mjs"]
