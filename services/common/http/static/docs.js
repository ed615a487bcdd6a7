// Starts Swagger UI. A file of its own, because the content security policy allows no inline script.
const root = document.getElementById("swagger-ui");
SwaggerUIBundle({
  url: root.dataset.openapiUrl,
  domNode: root,
  deepLinking: true,
  displayRequestDuration: true,
});
