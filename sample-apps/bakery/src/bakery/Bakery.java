package bakery;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import javax.servlet.Filter;
import javax.servlet.http.HttpServletResponse;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.StatisticsHandler;
import org.eclipse.jetty.servlet.FilterHolder;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

/** The app: reads the settings, and starts and stops the server. */
public final class Bakery {
    /** Less than the config's GRACE_PERIOD, after which the process is killed. */
    private static final long STOP_TIMEOUT_MS = 5_000;

    private static final long IDLE_TIMEOUT_MS = 60_000;

    private static final int MAX_FORM_BYTES = 4_096;

    private Bakery() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, String> variables = System.getenv();
        int port = Integer.parseInt(variables.getOrDefault("PORT", "8080"));
        Path file = Path.of(variables.getOrDefault("ORDERS", "orders.jsonl"));
        List<String> breads = List.of(variables.getOrDefault("BREADS", "rye").split(" +"));

        Orders orders = new Orders(file);
        Server server = server(port, handlers(orders, breads, identity(variables)));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server, orders), "stop"));
        server.start();
        System.err.println("bakery: listening on port " + port + ", storing orders in " + file);
        server.join();
    }

    /** App, release and host name, for X-Platform-App. */
    private static String identity(Map<String, String> variables) {
        String version = variables.getOrDefault("PLATFORM_VERSION", "unreleased");
        return variables.getOrDefault("PLATFORM_APP", "bakery")
                + " " + variables.getOrDefault("PLATFORM_RELEASE", version)
                + " " + variables.getOrDefault("HOSTNAME", "localhost");
    }

    private static ServletContextHandler handlers(Orders orders, List<String> breads, String identity) {
        ServletContextHandler context = new ServletContextHandler();
        context.setMaxFormContentSize(MAX_FORM_BYTES);
        Filter addIdentity = (request, response, chain) -> {
            ((HttpServletResponse) response).setHeader("X-Platform-App", identity);
            chain.doFilter(request, response);
        };
        context.addFilter(new FilterHolder(addIdentity), "/*", null);
        context.addServlet(new ServletHolder(new OrdersServlet(orders, breads)), "/orders");
        context.addServlet(new ServletHolder(new StatusServlet()), "/status");
        return context;
    }

    private static Server server(int port, ServletContextHandler context) {
        Server server = new Server();
        HttpConfiguration configuration = new HttpConfiguration();
        configuration.setSendServerVersion(false);
        ServerConnector connector = new ServerConnector(server, new HttpConnectionFactory(configuration));
        connector.setPort(port);
        connector.setIdleTimeout(IDLE_TIMEOUT_MS);
        server.setConnectors(new Connector[] {connector});
        // Tracks the open requests, so that stop() can wait for them.
        StatisticsHandler openRequests = new StatisticsHandler();
        openRequests.setHandler(context);
        server.setHandler(openRequests);
        server.setStopTimeout(STOP_TIMEOUT_MS);
        return server;
    }

    /** On SIGTERM: stops accepting connections, finishes the open requests, then closes the file. */
    private static void stop(Server server, Orders orders) {
        try {
            server.stop();
            orders.close();
        } catch (Exception error) {
            System.err.println("bakery: failed to stop cleanly: " + error);
            Runtime.getRuntime().halt(1);
        }
        // After a signal, Java would exit with 143 even if everything finished.
        Runtime.getRuntime().halt(0);
    }
}
