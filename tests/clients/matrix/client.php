<?php
// What PHP clients send, by PHP's own curl extension: their packages' registry is not used here.
//
//     php client.php NAME ADDRESS KEY SITE

const SITE_KEY = '6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd';

[, $name, $address, $key, $site] = $argv;

function shown(string $text): never
{
    echo 'shown ', preg_replace('/\s+/', ' ', trim($text)), "\n";
    exit;
}

function send(string $url, array $options): string
{
    $curl = curl_init($url);
    curl_setopt_array($curl, $options + [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 21]);
    $body = curl_exec($curl);
    if ($body === false) {
        shown(curl_error($curl));
    }
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    return $status === 200 ? $body : shown("HTTP $status: $body");
}

// The vendor's client: JSON to an address that is fixed.
function capmonster(string $address, string $key, string $site): string
{
    $call = function (string $path, array $value): array {
        $body = send("https://api.capmonster.cloud/$path", [
            CURLOPT_POSTFIELDS => json_encode($value),
            CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
        ]);
        $result = json_decode($body, true);
        return ($result['errorId'] ?? 1) === 0 ? $result : shown($body);
    };
    $task = ['type' => 'NoCaptchaTaskProxyless', 'websiteURL' => $site, 'websiteKey' => SITE_KEY];
    $created = $call('createTask', ['clientKey' => $key, 'task' => $task, 'softId' => 57]);
    do {
        sleep(1);
        $result = $call('getTaskResult', ['clientKey' => $key, 'taskId' => $created['taskId']]);
    } while ($result['status'] !== 'ready');
    return $result['solution']['gRecaptchaResponse'];
}

// 2captcha-php: an array for curl, which makes it multipart.
function twocaptcha(string $address, string $key, string $site): string
{
    $id = send("$address/in.php", [CURLOPT_POSTFIELDS => [
        'method' => 'userrecaptcha', 'googlekey' => SITE_KEY, 'pageurl' => $site, 'key' => $key, 'soft_id' => '4585',
    ]]);
    if (!str_starts_with($id, 'OK|')) {
        shown($id);
    }
    $query = http_build_query(['action' => 'get', 'id' => substr($id, 3), 'key' => $key]);
    do {
        sleep(1);
        $text = send("$address/res.php?$query", []);
    } while ($text === 'CAPCHA_NOT_READY');
    return str_starts_with($text, 'OK|') ? substr($text, 3) : shown($text);
}

$clients = ['capmonstercloud-client-php' => 'capmonster', '2captcha-php' => 'twocaptcha'];
$token = $clients[$name]($address, $key, $site);
echo "token $token\n";
