# syntax=docker/dockerfile:1
FROM node:24-bookworm-slim AS packages
WORKDIR /opt/shoal
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund

FROM node:24-bookworm-slim
WORKDIR /opt/shoal
RUN rm -rf /usr/local/lib/node_modules /opt/yarn* /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/yarn* \
    && mkdir -p /var/lib/shoal /etc/shoal && chown node:node /var/lib/shoal
COPY --from=packages /opt/shoal/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
# Compiled code is kept in the image: a start takes half the time, and the agent less memory.
# One heap for all threads: what one frees, another can use.
ENV NODE_ENV=production NODE_COMPILE_CACHE=/opt/shoal/compiled MALLOC_ARENA_MAX=1
RUN node src/main.ts --version
USER node
VOLUME /var/lib/shoal
EXPOSE 5050 5051 5052 5053
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["node", "/opt/shoal/src/main.ts", "status", "--json"]
ENTRYPOINT ["node", "--expose-gc", "--disable-warning=ExperimentalWarning", "--max-semi-space-size=4", "/opt/shoal/src/main.ts"]
CMD ["agent"]
