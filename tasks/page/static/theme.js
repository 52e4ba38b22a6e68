/* Before anything is drawn: the scheme that was chosen, if one was. A plain script, since modules wait for the page. */
{
  const chosen = localStorage.getItem("lis.scheme");
  if (chosen === "light" || chosen === "dark") document.documentElement.classList.add(chosen);
}
