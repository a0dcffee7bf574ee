// What .NET clients send, by .NET's own HttpClient (Mono's): their packages' registry is not used here.
//
//     mono client.exe NAME ADDRESS KEY SITE

using System;
using System.Collections.Generic;
using System.Net.Http;
using System.Text.RegularExpressions;
using System.Threading;

static class Client
{
    const string SiteKey = "6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd";

    class Shown : Exception
    {
        public Shown(string text) : base(text) { }
    }

    static readonly HttpClient Http = new HttpClient(new HttpClientHandler { UseProxy = false });

    static string Read(HttpResponseMessage response)
    {
        string body = response.Content.ReadAsStringAsync().Result;
        if (!response.IsSuccessStatusCode) throw new Shown("HTTP " + (int)response.StatusCode + ": " + body);
        return body;
    }

    // The vendor's client: StringContent without a type, which makes it text/plain; charset=utf-8.
    static string CapMonster(string address, string key, string site)
    {
        Func<string, string, string> call = (path, json) =>
        {
            string body = Read(Http.PostAsync(address + path, new StringContent(json)).Result);
            if (!body.Contains("\"errorId\":0")) throw new Shown(body);
            return body;
        };
        string task = "{\"type\":\"NoCaptchaTask\",\"websiteURL\":\"" + site + "\",\"websiteKey\":\"" + SiteKey + "\"}";
        string created = call("/createTask", "{\"clientKey\":\"" + key + "\",\"task\":" + task + ",\"softId\":53}");
        string id = Regex.Match(created, "\"taskId\":(\\d+)").Groups[1].Value;
        while (true)
        {
            Thread.Sleep(1000);
            string result = call("/getTaskResult", "{\"clientKey\":\"" + key + "\",\"taskId\":" + id + "}");
            Match token = Regex.Match(result, "\"gRecaptchaResponse\":\"([^\"]+)\"");
            if (token.Success) return token.Groups[1].Value;
        }
    }

    // CaptchaSharp's custom 2captcha service: multipart, and Host says 2captcha.com whatever the address is.
    static string CaptchaSharp(string address, string key, string site)
    {
        Func<HttpMethod, string, HttpContent, string> call = (method, path, content) =>
        {
            var request = new HttpRequestMessage(method, address + path) { Content = content };
            request.Headers.Host = "2captcha.com";
            string body = Read(Http.SendAsync(request).Result);
            if (!body.StartsWith("OK|") && body != "CAPCHA_NOT_READY") throw new Shown(body);
            return body;
        };
        var parts = new MultipartFormDataContent();
        foreach (var part in new Dictionary<string, string> {
            { "key", key }, { "method", "userrecaptcha" }, { "googlekey", SiteKey }, { "pageurl", site },
            { "soft_id", "2658" }, { "json", "0" } })
            parts.Add(new StringContent(part.Value), part.Key);
        string id = call(HttpMethod.Post, "/in.php", parts).Substring(3);
        while (true)
        {
            Thread.Sleep(1000);
            string text = call(HttpMethod.Get, "/res.php?key=" + key + "&action=get&id=" + id + "&json=0", null);
            if (text.StartsWith("OK|")) return text.Substring(3);
        }
    }

    static void Main(string[] arguments)
    {
        try
        {
            Func<string, string, string, string> client = CapMonster;
            if (arguments[0] == "CaptchaSharp") client = CaptchaSharp;
            Console.WriteLine("token " + client(arguments[1], arguments[2], arguments[3]));
        }
        catch (Exception error)
        {
            Exception inner = error.GetBaseException();
            string name = inner is Shown ? "" : inner.GetType().Name + ": ";
            Console.WriteLine("shown " + name + Regex.Replace(inner.Message.Trim(), "\\s+", " "));
        }
    }
}
