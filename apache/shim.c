/* What Rust cannot say: calls with variable arguments, and optional hooks whose prototype the C compiler must check. */
#include <mod_ssl_openssl.h>
#include <mod_status.h>
#include <apr_optional_hooks.h>
#include "shim.h"

void tb_log_request(const char *file, int line, int module_index, int level, const request_rec *r,
                    const char *message, int length)
{
    ap_log_rerror_(file, line, module_index, level, 0, r, "%.*s", length, message);
}

void tb_log_connection(const char *file, int line, int module_index, int level, const conn_rec *c,
                       const char *message, int length)
{
    ap_log_cerror_(file, line, module_index, level, 0, c, "%.*s", length, message);
}

void tb_log_server(const char *file, int line, int module_index, int level, const server_rec *s,
                   const char *message, int length)
{
    ap_log_error_(file, line, module_index, level, 0, s, "%.*s", length, message);
}

apr_bucket_brigade *tb_brigade_create(request_rec *r)
{
    return apr_brigade_create(r->pool, r->connection->bucket_alloc);
}

void tb_brigade_append_eos(apr_bucket_brigade *brigade)
{
    apr_bucket *eos = apr_bucket_eos_create(brigade->bucket_alloc);
    APR_BRIGADE_INSERT_TAIL(brigade, eos);
}

int tb_brigade_has_eos(apr_bucket_brigade *brigade)
{
    apr_bucket *bucket;

    for (bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_NEXT(bucket)) {
        if (APR_BUCKET_IS_EOS(bucket)) {
            return 1;
        }
    }
    return 0;
}

void tb_hook_mod_ssl(tb_ssl_init_server *init_server, tb_ssl_pre_handshake *pre_handshake)
{
    /* Typed assignments: a prototype that differs from mod_ssl's does not compile. */
    ssl_HOOK_init_server_t *typed_init_server = init_server;
    ssl_HOOK_pre_handshake_t *typed_pre_handshake = pre_handshake;

    APR_OPTIONAL_HOOK(ssl, init_server, typed_init_server, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ssl, pre_handshake, typed_pre_handshake, NULL, NULL, APR_HOOK_MIDDLE);
}

void tb_hook_mod_status(tb_status_hook *status_hook)
{
    /* Typed as above. */
    ap_HOOK_status_hook_t *typed_status_hook = status_hook;

    APR_OPTIONAL_HOOK(ap, status_hook, typed_status_hook, NULL, NULL, APR_HOOK_MIDDLE);
}
