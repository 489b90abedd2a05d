/* The one header bindgen reads: what src/ uses of httpd, APR and our own shim. */
#include <httpd.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <ap_provider.h>
#include <mod_auth.h>
#include <util_filter.h>
#include <apr_tables.h>
#include <apr_strings.h>
#include "shim.h"
