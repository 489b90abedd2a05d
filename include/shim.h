/* Prototypes of apache/shim.c: what Rust cannot say itself. No logic lives there. */
#ifndef TOKEN_BINDING_SHIM_H
#define TOKEN_BINDING_SHIM_H

#include <httpd.h>
#include <http_log.h>

/* Opaque here, so that bindgen needs none of OpenSSL's headers; apache/shim.c checks them against mod_ssl's prototypes. */
struct ssl_st;
struct ssl_ctx_st;

/* One log line each; `message` need not end in NUL. The caller has tested the level. */
void tb_log_request(const char *file, int line, int module_index, int level, const request_rec *r,
                    const char *message, int length);
void tb_log_connection(const char *file, int line, int module_index, int level, const conn_rec *c,
                       const char *message, int length);
void tb_log_server(const char *file, int line, int module_index, int level, const server_rec *s,
                   const char *message, int length);

/* Macros of APR's buckets. */
apr_bucket_brigade *tb_brigade_create(request_rec *r);
void tb_brigade_append_eos(apr_bucket_brigade *brigade);
int tb_brigade_has_eos(apr_bucket_brigade *brigade);

/* mod_ssl's optional hooks: typed here, present or not at run time. */
typedef int tb_ssl_init_server(server_rec *s, apr_pool_t *p, int is_proxy, struct ssl_ctx_st *ctx);
typedef int tb_ssl_pre_handshake(conn_rec *c, struct ssl_st *ssl, int is_proxy);
void tb_hook_mod_ssl(tb_ssl_init_server *init_server, tb_ssl_pre_handshake *pre_handshake);

/* mod_status' optional hook. */
typedef int tb_status_hook(request_rec *r, int flags);
void tb_hook_mod_status(tb_status_hook *status_hook);

#endif
