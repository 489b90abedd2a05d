<?php
// Binds a login session to what its client proves to httpd. These are the lines to take into your application.

declare(strict_types=1);

/** A header that no server with mod_token_binding sends: answer 400. */
class Malformed extends Exception
{
}

/** What the client of this request has proved: "token-binding" and "certificate", each only where there is one. */
function proved(array $server): array
{
    $found = [];
    $id = $server['HTTP_SEC_PROVIDED_TOKEN_BINDING_ID'] ?? null;
    if ($id !== null) {
        if (!preg_match('/\A[A-Za-z0-9_-]+\z/', $id)) {
            throw new Malformed('Sec-Provided-Token-Binding-ID');
        }
        $found['token-binding'] = $id;
    }
    // Inside httpd (CGI, FastCGI) there is a variable, behind a proxy a header.
    if (isset($server['TB_SSL_CLIENT_CERT_FINGERPRINT'])) {
        $found['certificate'] = $server['TB_SSL_CLIENT_CERT_FINGERPRINT'];
    } elseif (isset($server['HTTP_CLIENT_CERT'])) {
        $found['certificate'] = thumbprint($server['HTTP_CLIENT_CERT']);
    }
    return $found;
}

/** x5t#S256 (RFC 8705) of the certificate in a Client-Cert field, which is base64 between colons (RFC 9440). */
function thumbprint(string $clientCert): string
{
    $der = base64_decode(substr($clientCert, 1, -1));
    // The decoder is lenient. There is one right way to write a certificate.
    if ($der === '' || $clientCert !== ':' . base64_encode($der) . ':') {
        throw new Malformed('Client-Cert');
    }
    return rtrim(strtr(base64_encode(hash('sha256', $der, true)), '+/', '-_'), '=');
}

/** Whether the client proves all that it proved at login. Where it proved nothing then, this holds for everyone. */
function is_same_client(array $kept, array $found): bool
{
    foreach ($kept as $kind => $value) {
        if (!hash_equals($value, $found[$kind] ?? '')) {
            return false;
        }
    }
    return true;
}
