// What a Java client sends, by Java's own HttpClient: its package's registry is not used here.
//
//     java Client NAME ADDRESS KEY SITE

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

import static java.net.URLEncoder.encode;
import static java.nio.charset.StandardCharsets.UTF_8;

public class Client {
    static final String SITE_KEY = "6Lcg7CMUAAAAANphynKgn9YAgA4tQ2KI_iqRyTwd";
    static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    static void shown(String text) {
        System.out.println("shown " + text.strip().replaceAll("\\s+", " "));
        System.exit(0);
    }

    static String send(HttpRequest.Builder request) throws Exception {
        var response = HTTP.send(request.build(), BodyHandlers.ofString());
        if (response.statusCode() != 200) shown("HTTP " + response.statusCode() + ": " + response.body());
        return response.body();
    }

    /** 2captcha-java: a form, always to https. */
    static String twocaptcha(String address, String key, String site) throws Exception {
        String form = "key=" + key + "&method=userrecaptcha&googlekey=" + SITE_KEY + "&pageurl=" + encode(site, UTF_8)
            + "&soft_id=4581&json=0";
        String id = send(HttpRequest.newBuilder(URI.create("https://" + address + "/in.php"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(BodyPublishers.ofString(form)));
        if (!id.startsWith("OK|")) shown(id);
        String query = "?key=" + key + "&action=get&json=0&id=" + id.substring(3);
        while (true) {
            String text = send(HttpRequest.newBuilder(URI.create("https://" + address + "/res.php" + query)));
            if (text.startsWith("OK|")) return text.substring(3);
            if (!text.equals("CAPCHA_NOT_READY")) shown(text);
            Thread.sleep(1000);
        }
    }

    public static void main(String[] arguments) {
        try {
            System.out.println("token " + twocaptcha(arguments[1], arguments[2], arguments[3]));
        } catch (Exception error) {
            shown(error.toString());
        }
    }
}
