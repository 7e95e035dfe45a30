# syntax=docker/dockerfile:1
FROM node:24-bookworm-slim AS packages
WORKDIR /opt/shoal
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production SHOAL_STORE__DIR=/var/lib/shoal
WORKDIR /opt/shoal
RUN rm -rf /usr/local/lib/node_modules /opt/yarn* /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/yarn* \
    && mkdir -p /var/lib/shoal /etc/shoal && chown node:node /var/lib/shoal
COPY --from=packages /opt/shoal/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
USER node
VOLUME /var/lib/shoal
EXPOSE 5050 5053
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "/opt/shoal/src/main.ts", "status", "--quiet"]
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "/opt/shoal/src/main.ts"]
CMD ["agent"]
