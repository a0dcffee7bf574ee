//! Names of the vendor's API beyond reCAPTCHA, to tell what is misspelled.

/// The task types of the vendor's own clients for Node (2.6) and Python (4.3), and those of their documentation without
/// `Proxyless`.
pub const TYPES: [&str; 24] = [
    "RecaptchaV2Task",
    "RecaptchaV2TaskProxyless",
    "RecaptchaV2EnterpriseTask",
    "RecaptchaV2EnterpriseTaskProxyless",
    "RecaptchaV3Task",
    "RecaptchaV3TaskProxyless",
    "RecaptchaV3EnterpriseTask",
    "NoCaptchaTask",
    "NoCaptchaTaskProxyless",
    "AmazonTask",
    "BinanceTask",
    "ComplexImageTask",
    "CustomTask",
    "FunCaptchaTask",
    "FunCaptchaTaskProxyless",
    "GeeTestTask",
    "GeeTestTaskProxyless",
    "HCaptchaTask",
    "HCaptchaTaskProxyless",
    "ImageToTextTask",
    "MTCaptchaTask",
    "ProsopoTask",
    "TurnstileTask",
    "YidunTask",
];

/// Methods of the legacy API.
pub const METHODS: [&str; 8] = [
    "userrecaptcha",
    "post",
    "base64",
    "hcaptcha",
    "funcaptcha",
    "geetest",
    "turnstile",
    "amazon_waf",
];
