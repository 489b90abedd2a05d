<?php
// An application with bound login sessions, on PHP's own sessions. It answers every path, through FallbackResource.
//
// POST /login with user=NAME, POST /logout, GET / says who is logged in. A real application asks for a password.

declare(strict_types=1);

require __DIR__ . '/bound_session.php';

const COOKIE = '__Host-session';

function answer(int $status, array $body): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    // RFC 9440 section 2.4: no cache may give this to another client.
    header('Cache-Control: no-store');
    header('Vary: Cookie, Client-Cert');
    echo json_encode($body, JSON_INVALID_UTF8_SUBSTITUTE);
    exit;
}

function start_session(): void
{
    session_name(COOKIE);
    session_start([
        'use_strict_mode' => true,
        'use_only_cookies' => true,
        'cookie_secure' => true,
        'cookie_httponly' => true,
        'cookie_samesite' => 'Lax',
        'cache_limiter' => '',
    ]);
}

function login(array $found): never
{
    $user = $_POST['user'] ?? '';
    if (!is_string($user) || $user === '') {
        answer(400, ['error' => 'user is missing']);
    }
    // A new name for each login, and with it what is proved now. Whose session the cookie named before does not matter.
    unset($_COOKIE[COOKIE]);
    start_session();
    $_SESSION = ['user' => $user, 'bound_to' => $found];
    answer(200, shown($_SESSION));
}

/** Opens the session of the request's cookie. Another client's is none, and stays as it is: its owner may go on. */
function open_session(array $found): bool
{
    if (!isset($_COOKIE[COOKIE])) {
        return false;
    }
    start_session();
    return isset($_SESSION['user']) && is_same_client($_SESSION['bound_to'], $found);
}

function shown(array $session): array
{
    return ['user' => $session['user'], 'bound_to' => (object) $session['bound_to']];
}

try {
    $found = proved($_SERVER);
} catch (Malformed $fault) {
    answer(400, ['error' => 'malformed ' . $fault->getMessage()]);
}
$action = $_SERVER['REQUEST_METHOD'] . ' ' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($action === 'POST /login') {
    login($found);
}
$is_open = open_session($found);
if ($action === 'POST /logout') {
    if ($is_open) {
        session_destroy();
    }
    answer(200, ['user' => null]);
}
if ($action !== 'GET /') {
    answer(404, ['error' => 'not found']);
}
if (!$is_open) {
    answer(401, ['error' => 'not logged in']);
}
answer(200, shown($_SESSION));
