# syntax=docker/dockerfile:1
FROM node:24-bookworm-slim AS packages
WORKDIR /opt/shoal
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund
COPY scripts/build-package.ts ./scripts/
COPY src ./src
RUN node --disable-warning=ExperimentalWarning scripts/build-package.ts dist

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="shoal" \
      org.opencontainers.image.description="A peer-to-peer container image mirror that runs once per host" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
WORKDIR /opt/shoal
RUN rm -rf /usr/local/lib/node_modules /opt/yarn* /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/yarn* \
    && mkdir -p /var/lib/shoal /etc/shoal && chown node:node /var/lib/shoal \
    && ln -s /opt/shoal/bin/shoal /usr/local/bin/shoal
COPY --from=packages /opt/shoal/node_modules ./node_modules
COPY package.json LICENSE ./
COPY bin ./bin
COPY --from=packages /opt/shoal/dist ./dist
# Compiled code of the commands is kept in the image: a start takes half the time. Works with a read-only root.
ENV NODE_ENV=production NODE_COMPILE_CACHE=/opt/shoal/compiled
RUN bin/shoal --version
# by number, so that Kubernetes can see that it is not root: `node` in this image
USER 1000:1000
VOLUME /var/lib/shoal
EXPOSE 5050 5051 5052 5053
# Asks the admin listener where SHOAL_ADMIN__LISTEN or the command's --set says it is. It does not read the configuration's file.
# Without --start-interval, which docker before 25 and podman 4 refuse to build.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["node", "-e", "const set = /.*[\\0=]admin\\.listen=([^\\0]+)/s.exec(require('fs').readFileSync('/proc/1/cmdline', 'utf8'))?.[1]; require('http').get(`http://${set ?? process.env.SHOAL_ADMIN__LISTEN ?? '127.0.0.1:5053'}/readyz`, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
# Node answers SIGTERM by itself, and the agent waits for what it starts: no init is needed.
ENTRYPOINT ["/opt/shoal/bin/shoal"]
CMD ["agent"]
