import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Child, run } from '../../test/fixtures/child.ts'

export interface Nginx {
  /** Of what it serves, without a slash at the end. */
  readonly url: string
  readonly child: Child
}

/**
 * nginx with sendfile over the files of `root`; with `tls`, the version and cipher that the lane uses.
 * @param dir for its own files
 */
export async function startNginx(init: { dir: string; root: string; tls?: boolean }): Promise<Nginx> {
  const { dir, root, tls = false } = init
  const port = 20_000 + Math.floor(Math.random() * 20_000)
  const file = join(dir, `nginx-${port}.conf`)
  await writeFile(
    file,
    `daemon off; worker_processes auto; pid ${dir}/nginx-${port}.pid; error_log stderr notice;
     events { worker_connections 1024; }
     http { access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
       client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/fastcgi;
       uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
       keepalive_requests 1000000000;
       ${tls ? await tlsSettings(dir) : ''}
       server { listen 127.0.0.1:${port}${tls ? ' ssl' : ''}; root ${root}; } }`,
  )
  const child = Child.start('nginx', ['-c', file, '-p', dir])
  await child.until(/start worker process/)
  // its workers drop root's rights
  await run('chmod', ['-R', 'a+rX', root, dir])
  return { url: `http${tls ? 's' : ''}://127.0.0.1:${port}`, child }
}

async function tlsSettings(dir: string): Promise<string> {
  const [key, certificate] = [join(dir, 'nginx.key'), join(dir, 'nginx.crt')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  const subject = ['-subj', '/CN=127.0.0.1', '-days', '1', '-nodes']
  await run('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', certificate])
  return `ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;`
}
