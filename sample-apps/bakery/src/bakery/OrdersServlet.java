package bakery;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.eclipse.jetty.http.BadMessageException;

/** GET lists the latest orders. POST takes the fields of a form and adds an order. */
final class OrdersServlet extends HttpServlet {
    private static final long serialVersionUID = 1L;
    private static final int MAX_PIECES = 99;
    private static final int MAX_NAME = 60;

    private final transient Orders orders;
    private final transient List<String> breads;

    OrdersServlet(Orders orders, List<String> breads) {
        this.orders = orders;
        this.breads = breads;
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        Orders.Latest latest = orders.latest();
        response.setHeader("Cache-Control", "no-store");
        answer(response, 200, "{\"count\":" + latest.count()
                + ",\"latest\":[" + String.join(",", latest.lines()) + "]}");
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        request.setCharacterEncoding("UTF-8");
        String bread;
        String pieces;
        String name;
        try {
            bread = field(request, "bread");
            pieces = field(request, "pieces");
            name = field(request, "name");
        } catch (BadMessageException | IllegalStateException | IllegalArgumentException malformed) {
            refuse(response, 400, "the body is too large or not a valid form");
            return;
        }
        if (!breads.contains(bread)) {
            refuse(response, 422, "bread must be one of " + String.join(", ", breads));
            return;
        }
        if (!pieces.isEmpty() && !pieces.matches("[1-9][0-9]?")) {
            refuse(response, 422, "pieces must be a number from 1 to " + MAX_PIECES);
            return;
        }
        if (name.isEmpty() || name.length() > MAX_NAME) {
            refuse(response, 422, "name must have 1 to " + MAX_NAME + " characters");
            return;
        }
        String order = orders.append("\"bread\":" + Json.quote(bread)
                + ",\"pieces\":" + (pieces.isEmpty() ? "1" : pieces)
                + ",\"name\":" + Json.quote(name));
        if (prefersHtml(request)) {
            // The browser sent the form without the script: return to the page, which shows a message.
            response.setStatus(HttpServletResponse.SC_SEE_OTHER);
            response.setHeader("Location", "/#thanks");
            return;
        }
        answer(response, 201, order);
    }

    private static String field(HttpServletRequest request, String name) {
        String value = request.getParameter(name);
        return value == null ? "" : value.strip();
    }

    private static boolean prefersHtml(HttpServletRequest request) {
        String accept = request.getHeader("Accept");
        return accept != null && accept.contains("text/html");
    }

    private static void refuse(HttpServletResponse response, int status, String detail) throws IOException {
        answer(response, status, "{\"detail\":" + Json.quote(detail) + "}");
    }

    private static void answer(HttpServletResponse response, int status, String json) throws IOException {
        byte[] body = (json + "\n").getBytes(StandardCharsets.UTF_8);
        response.setStatus(status);
        response.setContentType("application/json");
        response.setContentLength(body.length);
        response.getOutputStream().write(body);
    }
}
