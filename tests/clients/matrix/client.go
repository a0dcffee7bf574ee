// What Go clients send, by Go's own net/http: their modules' registry is not used here.
//
//	client NAME ADDRESS KEY SITE
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const siteKey = "6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd"

var address, key, site string

func shown(text string) {
	fmt.Println("shown", strings.Join(strings.Fields(text), " "))
	os.Exit(0)
}

func send(request *http.Request, err error) []byte {
	if err != nil {
		shown(err.Error())
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		shown(err.Error())
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if response.StatusCode != 200 {
		shown(fmt.Sprintf("%s: %s", response.Status, body))
	}
	return body
}

func cutPrefix(text, prefix string) (string, bool) {
	return strings.TrimPrefix(text, prefix), strings.HasPrefix(text, prefix)
}

// The vendor's client: no Content-Type, its name in a field of its own, and a slash after getTaskResult.
func capmonster() string {
	call := func(path string, value any) map[string]any {
		text, _ := json.Marshal(value)
		request, err := http.NewRequest("POST", "https://api.capmonster.cloud/"+path, strings.NewReader(string(text)))
		if err == nil {
			request.Header = http.Header{"UserAgent": {"Zennolab.CapMonsterCloud.Client.Go"}}
		}
		body := send(request, err)
		result := map[string]any{}
		if json.Unmarshal(body, &result) != nil || result["errorId"] != 0.0 {
			shown(string(body))
		}
		return result
	}
	task := map[string]any{"type": "NoCaptchaTaskProxyless", "websiteURL": site, "websiteKey": siteKey}
	created := call("createTask", map[string]any{"clientKey": key, "task": task, "softId": 58})
	for {
		result := call("getTaskResult/", map[string]any{"clientKey": key, "taskId": int(created["taskId"].(float64))})
		if result["status"] == "ready" {
			return result["solution"].(map[string]any)["gRecaptchaResponse"].(string)
		}
		time.Sleep(time.Second)
	}
}

// 2captcha-go: a form.
func twocaptcha() string {
	form := url.Values{"key": {key}, "method": {"userrecaptcha"}, "googlekey": {siteKey}, "pageurl": {site}}
	form.Set("soft_id", "4583")
	request, err := http.NewRequest("POST", address+"/in.php", strings.NewReader(form.Encode()))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	id, found := cutPrefix(string(send(request, err)), "OK|")
	if !found {
		shown(id)
	}
	query := url.Values{"key": {key}, "action": {"get"}, "id": {id}}
	for {
		text, found := cutPrefix(string(send(http.NewRequest("GET", address+"/res.php?"+query.Encode(), nil))), "OK|")
		if found {
			return text
		}
		if text != "CAPCHA_NOT_READY" {
			shown(text)
		}
		time.Sleep(time.Second)
	}
}

func main() {
	address, key, site = os.Args[2], os.Args[3], os.Args[4]
	clients := map[string]func() string{"capmonstercloud-client-go": capmonster, "2captcha-go": twocaptcha}
	fmt.Println("token", clients[os.Args[1]]())
}
